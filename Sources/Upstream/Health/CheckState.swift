public import Units

/// How often an endpoint is checked, and how many results in a row are believed.
public struct CheckSettings: Hashable, Sendable, BitwiseCopyable {
  /// From the end of a check to the next, above zero.
  public var interval = Nanoseconds.seconds(5)
  /// For all of a check: the connect, TLS and the answer.
  public var timeout = Nanoseconds.seconds(1)
  /// Results in a row that bring an endpoint back, and those that take it out; at least 1.
  public var healthyThreshold: Int32 = 2
  public var unhealthyThreshold: Int32 = 3

  public init() {}

  /// How often an endpoint that is down is checked, unless it is checked more often anyway: its
  /// return is worth more than the few bytes that looking for it costs.
  public static let downInterval = Nanoseconds.seconds(1)
  /// First checks are spread over this much, or over an interval that is shorter.
  private static let firstSpread = Nanoseconds.milliseconds(500)

  /// While the last result speaks against what is believed of the endpoint, the next one comes after
  /// this share of the interval: what it takes to be sure is soon known, and nobody waits for it.
  private static let doubt: Int64 = 4

  /// The wait for the next check, with up to a tenth more so that checks drift apart.
  ///
  /// - Parameters:
  ///   - isDown: Whether the endpoint is.
  ///   - isDoubted: Whether its last result says otherwise.
  ///   - random: Where the tenth comes from.
  /// - Returns: From the end of a check to the next.
  public func wait(
    isDown: Bool,
    isDoubted: Bool = false,
    using random: inout some RandomNumberGenerator
  ) -> Nanoseconds {
    let usual = isDown ? min(interval, Self.downInterval) : interval
    let span = isDoubted ? Nanoseconds(usual.rawValue / Self.doubt) : usual
    return span + Nanoseconds(Int64.random(in: 0...max(0, span.rawValue / 10), using: &random))
  }

  /// The wait for the first check of an endpoint.
  public func firstWait(using random: inout some RandomNumberGenerator) -> Nanoseconds {
    let span = min(interval, Self.firstSpread)
    return Nanoseconds(Int64.random(in: 0...max(0, span.rawValue), using: &random))
  }
}

/// What a check came to.
public enum CheckResult: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  case success
  /// No connection could be made.
  case connectFailure
  /// The handshake failed, or chose a protocol that the service is not said to speak.
  case tlsFailure
  case timeout
  /// An answer, and not the expected one.
  case unexpectedAnswer
  /// The connection ended early, or what came is no answer.
  case broken

  public var label: String {
    switch self {
    case .success: "success"
    case .connectFailure: "connect-failure"
    case .tlsFailure: "tls-failure"
    case .timeout: "timeout"
    case .unexpectedAnswer: "unexpected-answer"
    case .broken: "broken"
    }
  }
}

/// What checks say of an endpoint.
public enum CheckVerdict: UInt8, Sendable, BitwiseCopyable {
  /// It was never checked.
  case unknown
  case up
  case down
}

/// The state machine of one endpoint's checks.
///
/// ```
/// unknown ──first result──▶ up ◀──healthyThreshold successes in a row──┐
///                           │                                          │
///                           └──unhealthyThreshold failures in a row──▶ down
/// ```
/// The first result counts at once: nothing speaks against it. While no endpoint of the service
/// works, one success brings an endpoint back: everybody waits for it.
public struct CheckState: Hashable, Sendable, BitwiseCopyable {
  public private(set) var verdict = CheckVerdict.unknown
  /// Results in a row that speak against the verdict.
  public private(set) var streak: Int32 = 0
  /// Whether it was down before: then it gets its share little by little.
  public private(set) var hasReturned = false
  public private(set) var last = CheckResult.success

  public init() {}

  /// Takes a result.
  ///
  /// `isOut`: Whether no endpoint of the service works.
  ///
  /// - Returns: Whether the verdict changed by it.
  public mutating func note(_ result: CheckResult, isOut: Bool, _ settings: CheckSettings) -> Bool {
    last = result
    let isSuccess = result == .success
    switch verdict {
    case .unknown:
      verdict = isSuccess ? .up : .down
      return true
    case .up where !isSuccess, .down where isSuccess:
      streak += 1
      let needed = isSuccess ? (isOut ? 1 : settings.healthyThreshold) : settings.unhealthyThreshold
      guard streak >= needed else { return false }
      streak = 0
      hasReturned = isSuccess
      verdict = isSuccess ? .up : .down
      return true
    case .up, .down:
      streak = 0
      return false
    }
  }
}

extension CheckState {
  /// As one word of shared memory; zero is an endpoint that was never checked.
  var rawValue: UInt64 {
    UInt64(verdict.rawValue) | (hasReturned ? 4 : 0) | UInt64(last.rawValue) << 8
      | UInt64(UInt32(bitPattern: streak)) << 32
  }

  /// The verdict in such a word.
  static func verdict(of rawValue: UInt64) -> CheckVerdict {
    CheckVerdict(rawValue: UInt8(rawValue & 3)) ?? .unknown
  }

  init(rawValue: UInt64) {
    verdict = Self.verdict(of: rawValue)
    hasReturned = rawValue & 4 != 0
    last = CheckResult(rawValue: UInt8(truncatingIfNeeded: rawValue >> 8)) ?? .success
    streak = Int32(bitPattern: UInt32(truncatingIfNeeded: rawValue >> 32))
  }
}
