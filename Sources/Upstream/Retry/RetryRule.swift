/// What became of an attempt that may be worth another one.
public enum RetryCause: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  /// No connection came about: nothing was sent.
  case connectFailure
  /// The connection or the stream broke before the response did.
  case reset
  /// The time of one attempt ran out.
  case timeout
  /// The service refused the request without processing it (RFC 9113 section 8.7).
  case refusedStream
  /// What came was no HTTP.
  case malformed
  /// The response's status.
  case status
  /// A field of the response.
  case header
  /// The status of a call of gRPC.
  case call

  /// The value of the label `condition`.
  public var label: String {
    switch self {
    case .connectFailure: "connect-failure"
    case .reset: "reset"
    case .timeout: "per-try-timeout"
    case .refusedStream: "refused-stream"
    case .malformed: "malformed"
    case .status: "status"
    case .header: "header"
    case .call: "grpc"
    }
  }
}

/// Which failures of an attempt a route has repeated, and how often.
///
/// A failure without a response counts with the status that the edge would answer, as with Envoy's
/// `5xx`: who asks for 502 means a broken connection as well.
public struct RetryRule: Sendable, BitwiseCopyable {
  /// Most retries of one request: a gateway that repeats more often multiplies an outage.
  public static let most = 2

  /// Retries of one request, in `0...most`.
  public let retries: UInt8
  private var causes: UInt8 = 0
  /// A bit for each code of gRPC.
  private var calls: UInt32 = 0
  /// A bit for each status from 400 to 599.
  private var statuses = InlineArray<4, UInt64>(repeating: 0)

  /// - Parameter retries: In `0...most`.
  public init(retries: Int) {
    precondition((0...Self.most).contains(retries), "unvalidated settings")
    self.retries = UInt8(retries)
  }

  /// Adds a failure that has no response.
  public mutating func take(_ cause: RetryCause) { causes |= 1 << cause.rawValue }

  /// Adds a status in `400...599`; others are passed over.
  public mutating func take(status: Int) {
    guard (400...599).contains(status) else { return }
    statuses[(status - 400) / 64] |= 1 << UInt64((status - 400) % 64)
  }

  /// Adds a code of gRPC in `0...31`; others are passed over.
  public mutating func take(call: Int) {
    guard (0...31).contains(call) else { return }
    calls |= 1 << UInt32(call)
  }

  /// Whether some codes of gRPC are asked for, so that it is of use to look for one.
  public var namesCalls: Bool { calls != 0 }

  /// Whether a failure without a response is named.
  public func takes(_ cause: RetryCause) -> Bool { causes >> cause.rawValue & 1 == 1 }

  /// Whether a response's status is named.
  public func takes(status: Int) -> Bool {
    guard (400...599).contains(status) else { return false }
    return statuses[(status - 400) / 64] >> UInt64((status - 400) % 64) & 1 == 1
  }

  /// Whether a code of gRPC is named.
  public func takes(call: Int) -> Bool {
    (0...31).contains(call) && calls >> UInt32(call) & 1 == 1
  }
}
