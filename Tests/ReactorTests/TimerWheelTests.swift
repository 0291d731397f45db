import Reactor
import Testing
import Units

/// A tick of the wheel, in nanoseconds.
private let tick: Int64 = 1 << 20

struct TimerWheelTests {
  private func owner(_ index: Int) -> Owner { Owner(rawValue: UInt64(index)) }

  private func at(_ ticks: Int64) -> Instant { Instant(ticks * tick) }

  /// All that is due, by the owner's number.
  private func expired(_ wheel: inout TimerWheel) -> [UInt64] {
    var found: [UInt64] = []
    while let owner = wheel.takeExpired() { found.append(owner.rawValue) }
    return found.sorted()
  }

  @Test func `a wheel at its bound gives no timer until one is released`() {
    var wheel = TimerWheel(capacity: 1, at: at(0))
    let timer = wheel.allocate(for: owner(1))

    #expect(wheel.allocate(for: owner(2)) == -1)
    wheel.release(timer)
    #expect(wheel.allocate(for: owner(2)) >= 0)
    #expect(wheel.count == 1)
  }

  @Test(
    arguments: [
      1, 2, 1_022, 1_023, 1_024, 1_025, 70_000, 1_047_551, 1_047_552, 1_048_576, 5_000_000,
    ]
      as [Int64],
    [0, 1, 500, 1_023, 1_024, 99_999] as [Int64]
  )
  func `a timer never fires early and fires at its tick`(distance: Int64, start: Int64) {
    var wheel = TimerWheel(capacity: 4, at: at(start))
    let timer = wheel.allocate(for: owner(1))
    // One nanosecond past the tick before: rounding down would be early.
    wheel.set(timer, at: Instant((start + distance - 1) * tick + 1))

    wheel.advance(to: Instant((start + distance) * tick - 1))
    #expect(expired(&wheel) == [])
    wheel.advance(to: at(start + distance))
    #expect(expired(&wheel) == [1])
    wheel.advance(to: at(start + distance + 3_000_000))
    #expect(expired(&wheel) == [])
    #expect(wheel.wait(from: at(start + distance + 3_000_000)) == nil)
  }

  @Test(arguments: [Int64.max - 1, .max - tick + 1, .max - tick])
  func `a deadline near the end of time is far away and can be moved`(deadline: Int64) {
    var wheel = TimerWheel(capacity: 4, at: at(1))
    let timer = wheel.allocate(for: owner(1))

    wheel.set(timer, at: Instant(deadline))

    wheel.advance(to: at(5_000_000))
    #expect(expired(&wheel) == [])
    wheel.set(timer, at: at(5_000_001))
    wheel.advance(to: at(5_000_001))
    #expect(expired(&wheel) == [1])
  }

  @Test func `a deadline in the past fires with the next tick`() {
    var wheel = TimerWheel(capacity: 4, at: at(5_000))
    let timer = wheel.allocate(for: owner(1))
    wheel.set(timer, at: at(10))
    wheel.advance(to: at(5_001))
    #expect(expired(&wheel) == [1])
  }

  @Test func `moving a deadline later holds it back`() {
    var wheel = TimerWheel(capacity: 4, at: at(0))
    let timer = wheel.allocate(for: owner(1))
    wheel.set(timer, at: at(10))
    wheel.set(timer, at: at(30_000))
    wheel.advance(to: at(29_999))
    #expect(expired(&wheel) == [])
    wheel.advance(to: at(30_000))
    #expect(expired(&wheel) == [1])
  }

  @Test func `moving a deadline earlier brings it forward`() {
    var wheel = TimerWheel(capacity: 4, at: at(0))
    let timer = wheel.allocate(for: owner(1))
    wheel.set(timer, at: at(2_000_000))
    wheel.set(timer, at: at(12))
    wheel.advance(to: at(11))
    #expect(expired(&wheel) == [])
    wheel.advance(to: at(12))
    #expect(expired(&wheel) == [1])
  }

  @Test func `a cancelled timer does not fire, and can be armed again`() {
    var wheel = TimerWheel(capacity: 4, at: at(0))
    let timer = wheel.allocate(for: owner(1))
    wheel.set(timer, at: at(10))
    wheel.set(timer, at: .never)
    wheel.advance(to: at(2_000))
    #expect(expired(&wheel) == [])
    wheel.set(timer, at: at(2_100))
    wheel.advance(to: at(2_100))
    #expect(expired(&wheel) == [1])
  }

  @Test func `a timer that is due can still be cancelled, moved and released`() {
    var wheel = TimerWheel(capacity: 4, at: at(0))
    let timers = (1...3).map { wheel.allocate(for: owner($0)) }
    for timer in timers { wheel.set(timer, at: at(5)) }
    wheel.advance(to: at(6))
    #expect(wheel.hasExpired == true)

    wheel.set(timers[0], at: .never)
    wheel.set(timers[1], at: at(50))
    wheel.release(timers[2])
    #expect(expired(&wheel) == [])
    wheel.advance(to: at(50))
    #expect(expired(&wheel) == [2])
  }

  @Test(arguments: [Instant.never, Instant(900 << 20)])
  func `a timer that was disarmed or moved wakes once at its old place`(moved: Instant) {
    var wheel = TimerWheel(capacity: 4, at: at(0))
    let first = wheel.allocate(for: owner(1))
    let second = wheel.allocate(for: owner(2))
    wheel.set(first, at: at(5))
    wheel.set(second, at: at(100))
    #expect(wheel.wait(from: at(0)) == Nanoseconds(5 * tick))
    wheel.set(first, at: moved)
    wheel.advance(to: at(5))
    #expect(expired(&wheel) == [])
    #expect(wheel.wait(from: at(5)) == Nanoseconds(95 * tick))
  }

  @Test func `a jump of hours fires everything once`() {
    var wheel = TimerWheel(capacity: 2_000, at: at(77))
    for index in 0..<2_000 {
      let timer = wheel.allocate(for: owner(index))
      wheel.set(timer, at: at(78 + Int64(index) * 1_723))
    }
    wheel.advance(to: at(77) + .seconds(5 * 3_600))
    #expect(expired(&wheel) == (0..<2_000).map(UInt64.init))
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func `the wheel agrees with a plain list, and a sleep never passes a deadline`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var now = Int64.random(in: 0...5_000_000, using: &random) * tick
    var wheel = TimerWheel(capacity: 64, at: Instant(now))
    let timers = (0..<64).map { wheel.allocate(for: owner($0)) }
    var deadlines = [Int64?](repeating: nil, count: 64)
    let spans: [Int64] = [3, 1_000, 1_100, 20_000, 1_100_000, 3_000_000]

    for _ in 0..<4_000 {
      let index = Int.random(in: 0..<64, using: &random)
      let span = spans.randomElement(using: &random) ?? 1
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        let deadline = now + Int64.random(in: 1...(span * tick), using: &random)
        wheel.set(timers[index], at: Instant(deadline))
        deadlines[index] = deadline
      case 6:
        wheel.set(timers[index], at: .never)
        deadlines[index] = nil
      default:
        let earliest = deadlines.compactMap { $0 }.min()
        let wait = wheel.wait(from: Instant(now))
        if let earliest {
          // At most to the end of the tick that the earliest deadline lies in.
          #expect((wait?.rawValue ?? .max) < earliest - now + tick)
        }
        now += Int64.random(in: 1...(span * tick), using: &random)
        wheel.advance(to: Instant(now))
        let due = deadlines.indices.filter { index in
          deadlines[index].map { ($0 + tick - 1) / tick <= now / tick } ?? false
        }
        #expect(expired(&wheel) == due.map(UInt64.init))
        for index in due { deadlines[index] = nil }
      }
    }
  }
}
