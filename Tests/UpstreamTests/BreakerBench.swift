import Synchronization
import Units
import Upstream

/// A breaker on a clock of its own.
final class BreakerBench {
  let memory: UnsafeMutablePointer<Atomic<UInt64>>
  var settings = BreakerSettings()
  var now = Instant(1_000_000_000)
  var random = SplitMix64(seed: 11)
  let scope: BreakerScope

  init(_ scope: BreakerScope = .endpoint) {
    self.scope = scope
    memory = .allocate(capacity: SharedBreaker.cells)
    for cell in 0..<SharedBreaker.cells { (memory + cell).initialize(to: Atomic(0)) }
  }

  deinit {
    memory.deinitialize(count: SharedBreaker.cells)
    memory.deallocate()
  }

  var breaker: SharedBreaker { SharedBreaker(memory) }
  var state: BreakerState { breaker.word.visibleState(at: now, settings) }

  func ask() -> BreakerTicket? {
    guard case .admitted(let ticket) = breaker.admit(at: now, settings, using: &random) else {
      return nil
    }
    return ticket
  }

  @discardableResult
  func end(_ ticket: BreakerTicket, _ outcome: AttemptOutcome?, _ latency: Nanoseconds = .zero)
    -> Bool
  {
    breaker.end(ticket, outcome, latency: latency, scope, at: now, settings, using: &random)
  }

  /// One request; false when it was refused.
  @discardableResult
  func request(_ outcome: AttemptOutcome?, _ latency: Nanoseconds = .zero) -> Bool {
    guard let ticket = ask() else { return false }
    end(ticket, outcome, latency)
    return true
  }

  /// How long it stays open now, in seconds.
  var openSeconds: Double { (breaker.word.time - now).seconds }

  /// Lets the time of being open, or of a ramp, pass.
  func wait(_ span: Nanoseconds) { now = now + span }

  func tripAndReopen() {
    while state != .open { request(.reset) }
  }
}
