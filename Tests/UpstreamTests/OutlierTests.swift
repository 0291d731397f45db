import Dispatch
import Testing
import Units
import Upstream

/// Endpoints of one service, and a clock.
private final class Fleet {
  private let healthMemory = HealthMemory(services: 4)
  var health: HealthTable { healthMemory.table }
  let directory = EndpointDirectory()
  let leases: [EndpointDirectory.Lease]
  var settings = OutlierSettings()
  var now = Instant(1_000_000_000)

  init(_ count: Int) {
    leases = (0..<count).compactMap { [directory] in
      directory.lease(service: "s", address: "\($0)")
    }
    for lease in leases { health.adopt(lease) }
  }

  var places: [Int32] { leases.map(\.place) }

  @discardableResult
  func note(_ outcome: AttemptOutcome, _ place: Int, _ latency: Nanoseconds = .zero) -> Bool {
    places.withUnsafeBufferPointer { places in
      OutlierFleet(places: places, health: health, service: 0, settings: settings)
        .note(outcome, at: places[place], latency: latency, now: now)
    }
  }

  func isOut(_ place: Int) -> Bool { health.record(places[place]).isEjected(at: now) }
  var out: [Int] { leases.indices.filter(isOut) }
  func cause(_ place: Int) -> EjectionCause { health.record(places[place]).lastCause }

  /// Ends the interval: the next outcome after it compares all.
  func endInterval() {
    now = now + settings.interval
    note(.success, 0)
  }
}

struct OutlierTests {
  @Test func `five 5xx in a row leave one out for 30 s, and four do not`() {
    let fleet = Fleet(10)
    for _ in 0..<4 { fleet.note(.serverError, 3) }
    fleet.note(.success, 3)
    for _ in 0..<4 { fleet.note(.serverError, 3) }
    #expect(fleet.out.isEmpty)

    #expect(fleet.note(.serverError, 3))

    #expect(fleet.out == [3])
    #expect(fleet.cause(3) == .consecutive5xx)
    fleet.now = fleet.now + .seconds(29)
    #expect(fleet.isOut(3))
    fleet.now = fleet.now + .seconds(1)
    #expect(!fleet.isOut(3))
  }

  @Test func `resets and time-outs are gateway failures, and 429 is none at all`() {
    let fleet = Fleet(10)
    fleet.settings.consecutive5xx = 0
    for _ in 0..<100 { fleet.note(.serverError, 1) }
    for _ in 0..<100 { fleet.note(.tooManyRequests, 1) }
    #expect(fleet.out.isEmpty)
    for outcome in [AttemptOutcome.reset, .timeout, .connectFailure, .gatewayError, .reset] {
      fleet.note(outcome, 1)
    }
    #expect(fleet.cause(1) == .consecutiveGateway)
    #expect(fleet.out == [1])
  }

  @Test func `each time out is longer, up to 300 s, and good intervals make it shorter again`() {
    let fleet = Fleet(10)
    var spans: [Double] = []
    for _ in 0..<12 {
      for _ in 0..<5 { fleet.note(.serverError, 2) }
      let until = fleet.health.record(fleet.places[2]).ejectedUntil
      spans.append((until - fleet.now).seconds)
      fleet.now = until
    }
    #expect(spans == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])

    for _ in 0..<11 {
      fleet.note(.success, 2)
      fleet.endInterval()
    }
    #expect(fleet.health.record(fleet.places[2]).times <= 2)
  }

  @Test(arguments: [(1, 10, 0), (2, 10, 1), (3, 10, 1), (20, 10, 2), (10, 0, 0), (4, 100, 3)])
  func `no more are left out than the cap says, but one of several`(
    count: Int,
    percent: Int,
    most: Int
  ) {
    let fleet = Fleet(count)
    fleet.settings.maximumEjectionPercent = Int32(percent)
    for place in 0..<count {
      for _ in 0..<20 { fleet.note(.gatewayError, place) }
    }
    #expect(fleet.out.count == most)
    if most < count { #expect(fleet.health.service(0).overflows > 0) }
  }

  @Test func `an endpoint whose successes lie far below the others' is left out`() {
    let fleet = Fleet(10)
    for place in 0..<10 {
      for index in 0..<200 {
        let isBad = place == 7 ? index % 3 == 0 : index % 50 == 0
        fleet.note(isBad ? .serverError : .success, place)
      }
    }
    #expect(fleet.out.isEmpty)
    fleet.endInterval()
    #expect(fleet.out == [7])
    #expect(fleet.cause(7) == .successRate)
  }

  @Test func `nobody is left out where all do equally badly, or too few can be compared`() {
    let fleet = Fleet(10)
    for place in 0..<10 {
      for index in 0..<200 { fleet.note(index % 3 == 0 ? .serverError : .success, place) }
    }
    fleet.endInterval()
    #expect(fleet.out.isEmpty)

    let small = Fleet(4)
    for place in 0..<4 {
      for index in 0..<200 {
        small.note(place == 1 && index % 2 == 0 ? .serverError : .success, place)
      }
    }
    small.endInterval()
    #expect(small.out.isEmpty)
  }

  @Test func `an endpoint that fails almost always is left out by its percentage`() {
    let fleet = Fleet(5)
    fleet.settings.successRateDeviations = 0
    for place in 0..<5 {
      for index in 0..<60 {
        fleet.note(place == 4 && index % 10 != 0 ? .serverError : .success, place)
        // Never five in a row.
        if place == 4, index % 4 == 3 { fleet.note(.success, place) }
      }
    }
    fleet.settings.failurePercentage = 60
    fleet.endInterval()
    #expect(fleet.out == [4])
    #expect(fleet.cause(4) == .failurePercentage)
  }

  @Test func `an endpoint many times slower than the others is left out where that is asked for`() {
    for factor in [0.0, 3.0] {
      let fleet = Fleet(6)
      fleet.settings.latencyFactor = factor
      for place in 0..<6 {
        for _ in 0..<120 { fleet.note(.success, place, .milliseconds(place == 2 ? 400 : 100)) }
      }
      fleet.endInterval()
      #expect(fleet.out == (factor == 0 ? [] : [2]))
      if factor > 0 { #expect(fleet.cause(2) == .latency) }
    }
  }

  @Test func `one that comes back gets its share little by little`() {
    let fleet = Fleet(3)
    for _ in 0..<5 { fleet.note(.reset, 1) }
    let record = fleet.health.record(fleet.places[1])
    let back = record.ejectedUntil
    #expect(abs(record.share(at: back, fleet.settings) - 0.1) < 0.001)
    #expect(abs(record.share(at: back + .seconds(5), fleet.settings) - 0.55) < 0.001)
    #expect(record.share(at: back + .seconds(10), fleet.settings) == 1)
    // Who never was out has all of it.
    #expect(fleet.health.record(fleet.places[0]).share(at: back, fleet.settings) == 1)
  }

  @Test func `workers that fail at once leave out no more than the cap`() {
    let fleet = Fleet(30)
    let (places, settings, health, now) = (fleet.places, fleet.settings, fleet.health, fleet.now)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      places.withUnsafeBufferPointer { places in
        let fleet = OutlierFleet(places: places, health: health, service: 0, settings: settings)
        for index in 0..<3_000 {
          fleet.note(.gatewayError, at: places[index % 30], latency: .zero, now: now)
        }
      }
    }
    #expect(fleet.out.count == 3)
  }

  @Test func `a place that is given to another endpoint begins anew`() {
    let directory = EndpointDirectory()
    let memory = HealthMemory(services: 1)
    let health = memory.table
    defer { withExtendedLifetime(memory) {} }
    var lease = directory.lease(service: "a", address: "1")
    if let lease {
      health.adopt(lease)
      health.record(lease.place).drain(true)
      health.breaker(lease.place).order(.open)
      // The same use of it, as with a reload: what is known stays.
      health.adopt(lease)
      #expect(health.record(lease.place).isDrained)
      #expect(health.breaker(lease.place).word.order == .open)
    }
    lease = nil
    let next = directory.lease(service: "b", address: "2")
    if let next {
      health.adopt(next)
      #expect(!health.record(next.place).isDrained)
      #expect(health.breaker(next.place).word == BreakerWord())
    }
    #expect(next?.place == 0)
  }
}
