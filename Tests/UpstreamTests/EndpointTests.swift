import Testing
import Units
import Upstream

struct EndpointTests {
  @Test func `the rest after failed connects doubles and stops growing`() {
    var state = EndpointState()
    let now = Instant(0)
    var rests: [Double] = []
    for _ in 0..<40 {
      // 0.5 is the middle of the spread.
      state.connectFailed(at: now, jitter: 0.5)
      rests.append((state.backedOffUntil - now).milliseconds)
    }
    #expect(Array(rests.prefix(6)) == [250, 500, 1_000, 2_000, 4_000, 8_000])
    #expect(rests.dropFirst(6).allSatisfy { $0 == 8_000 })
  }

  @Test func `no jitter passes ten seconds of rest or falls under half of it`() {
    for step in 0..<100 {
      var state = EndpointState()
      for _ in 0..<20 { state.connectFailed(at: Instant(0), jitter: Double(step) / 100) }
      let rest = (state.backedOffUntil - Instant(0)).milliseconds
      #expect((5_000...10_000).contains(rest))
    }
  }

  @Test func `a connection ends the rest and the count of failures`() {
    var state = EndpointState()
    for _ in 0..<5 { state.connectFailed(at: Instant(0), jitter: 0.5) }
    #expect(state.isBackedOff(at: Instant(1)))
    state.connected()
    #expect(!state.isBackedOff(at: Instant(1)))
    state.connectFailed(at: Instant(0), jitter: 0.5)
    #expect(state.backedOffUntil == Instant(0) + .milliseconds(250))
    #expect(!state.isBackedOff(at: Instant(0) + .milliseconds(250)))
  }

  @Test func `a latency rises with one sample and falls by time, not by count`() {
    let start = Instant(1)
    var latency = PeakAverage()
    #expect(latency.value(at: start) == 0)
    latency.observe(0.1, at: start)
    latency.observe(2, at: start)
    #expect(latency.value(at: start) == 2)

    // However many quick answers come at once, it stays slow for a while.
    for _ in 0..<1_000 { latency.observe(0.1, at: start) }
    #expect(latency.value(at: start) == 2)
    latency.observe(0.1, at: start + .seconds(10))
    #expect((0.5...1.2).contains(latency.value(at: start + .seconds(10))))
  }

  @Test func `what is known of a latency fades, so that the endpoint is asked again`() {
    var latency = PeakAverage()
    latency.observe(5, at: Instant(1))
    #expect(latency.value(at: Instant(1) + .seconds(300)) < 0.02)
    // A sample that is below what it was long ago is a peak all the same.
    latency.observe(0.2, at: Instant(1) + .seconds(300))
    #expect(abs(latency.value(at: Instant(1) + .seconds(300)) - 0.2) < 0.01)
  }

  @Test func `a clock that steps back does no harm to a latency`() {
    var latency = PeakAverage()
    latency.observe(1, at: Instant(1_000_000_000))
    latency.observe(0.5, at: Instant(0))
    #expect(latency.value(at: Instant(0)) == 1)
  }

  @Test func `Retry-After of an endpoint is believed up to 300 s, and is 5 s without a word`() {
    let now = Instant(0)
    let words: [(Int64?, Int64)] = [(nil, 5), (0, 1), (40, 40), (300, 300), (999_999_999, 300)]
    for (given, seconds) in words {
      var state = EndpointState()
      state.refused(retryAfter: given.map { .seconds($0) }, at: now)
      #expect(state.penalisedUntil == now + .seconds(seconds))
    }
    // A shorter word takes nothing back.
    var state = EndpointState()
    state.refused(retryAfter: .seconds(100), at: now)
    state.refused(retryAfter: .seconds(1), at: now)
    #expect(state.penalisedUntil == now + .seconds(100))
  }

  @Test func `an endpoint keeps its place while somebody holds a lease`() {
    let directory = EndpointDirectory()
    let first = directory.lease(service: "a", address: "1")
    let again = directory.lease(service: "a", address: "1")
    let other = directory.lease(service: "b", address: "1")
    #expect(first != nil)
    #expect(first === again)
    #expect(other?.place != first?.place)
  }

  @Test func `an address that is spoken to by other rules is another endpoint`() {
    let directory = EndpointDirectory()
    let clear = directory.lease(service: "a", address: "1")
    let secure = directory.lease(service: "a", address: "1", variant: "tls 1 a.test")
    let renewed = directory.lease(service: "a", address: "1", variant: "tls 2 a.test")
    #expect(Set([clear, secure, renewed].map { $0?.place }).count == 3)
    #expect(directory.lease(service: "a", address: "1", variant: "tls 1 a.test") === secure)
  }

  @Test func `a place that was given back is used again under a new epoch`() {
    let directory = EndpointDirectory()
    var lease = directory.lease(service: "a", address: "1")
    let (place, epoch) = (lease?.place, lease?.epoch)
    lease = nil
    let next = directory.lease(service: "b", address: "2")
    #expect(next?.place == place)
    #expect(next?.epoch != epoch)
  }

  @Test func `a full directory refuses, and serves again after a release`() {
    let directory = EndpointDirectory()
    var leases = (0..<EndpointDirectory.capacity).compactMap {
      directory.lease(service: "s", address: String($0))
    }
    #expect(leases.count == EndpointDirectory.capacity)
    #expect(Set(leases.map(\.place)).count == EndpointDirectory.capacity)
    #expect(directory.lease(service: "s", address: "one more") == nil)
    leases.removeLast()
    #expect(directory.lease(service: "s", address: "one more") != nil)
  }
}
