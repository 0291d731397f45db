/// In flight, limit and waiting of a service as one word, so that one compare-exchange decides.
///
/// Apart they would allow what must not be: a permit taken between a look at the limit and its fall,
/// or a request queued between a look at the queue and the end of the last permit.
struct Gate: Equatable {
  var rawValue: UInt64

  private static let bits: UInt64 = 21
  private static let mask: UInt64 = (1 << bits) - 1
  /// Added to the word to change one of its parts.
  static let oneInFlight: UInt64 = 1
  static let oneWaiting: UInt64 = 1 << (2 * bits)
  /// Most requests that can wait with all workers together.
  static let maximumWaiting = (1 << 22) - 1

  /// Requests that hold a permit, those on their way to another worker included.
  var inFlight: Int { Int(rawValue & Self.mask) }
  /// Requests that may.
  var limit: Int { Int((rawValue >> Self.bits) & Self.mask) }
  /// Requests queued with any worker.
  var waiting: Int { Int(rawValue >> (2 * Self.bits)) }

  var hasRoom: Bool { inFlight < limit }

  func withLimit(_ limit: Int) -> Gate {
    let kept = rawValue & ~(Self.mask << Self.bits)
    return Gate(rawValue: kept | UInt64(min(max(limit, 1), Bounds.limit)) << Self.bits)
  }
}
