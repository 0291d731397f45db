import Glibc

/// The end of a wait, so that no test can hang.
struct Deadline: Sendable {
  /// How long a step may take before the test fails; far above what any step needs.
  static let patience: Duration = .seconds(20)

  private let end: ContinuousClock.Instant

  init(after span: Duration = Deadline.patience) { end = .now.advanced(by: span) }

  var hasPassed: Bool { ContinuousClock.now >= end }

  /// Milliseconds left, rounded up, for `poll`.
  var milliseconds: Int32 {
    let left = ContinuousClock.now.duration(to: end)
    guard left > .zero else { return 0 }
    let (seconds, attoseconds) = left.components
    return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
  }
}

/// Waits until `condition` holds and throws when it does not within `span`.
///
/// What is awaited here lives behind another thread's lock or behind the admin port, so the
/// condition is asked again each millisecond; a bare sleep never stands for a condition.
func eventually(
  _ what: String,
  within span: Duration = Deadline.patience,
  _ condition: () throws -> Bool
) throws {
  let deadline = Deadline(after: span)
  while try !condition() {
    guard !deadline.hasPassed else { throw WireFailure("in vain: \(what)") }
    usleep(1000)
  }
}

/// Waits until `value` has not changed for `span`, and returns it.
func settled<Value: Equatable>(
  _ what: String,
  for span: Duration = .milliseconds(300),
  _ value: () throws -> Value
) throws -> Value {
  let deadline = Deadline(after: .seconds(30))
  var last = try value()
  var quiet = Deadline(after: span)
  while !quiet.hasPassed {
    guard !deadline.hasPassed else { throw WireFailure("never settled: \(what)") }
    usleep(2000)
    let now = try value()
    if now != last {
      last = now
      quiet = Deadline(after: span)
    }
  }
  return last
}
