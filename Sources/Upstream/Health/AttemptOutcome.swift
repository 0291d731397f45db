/// What one attempt at an endpoint came to, as breakers and outlier detection see it.
///
/// What says nothing about the service has no outcome at all: our own refusals, clients that leave,
/// deadlines that a stranger made.
public enum AttemptOutcome: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  /// Answered, with a status below 500 and other than 429.
  case success
  /// No connection could be made, TLS included.
  case connectFailure
  /// The connection or the stream broke before the response was complete.
  case reset
  /// No response head in time.
  case timeout
  /// 502, 503 or 504, or a call of gRPC that was refused as UNAVAILABLE.
  case gatewayError
  /// Any other 5xx.
  case serverError
  /// 429, or a call of gRPC that was refused as RESOURCE_EXHAUSTED.
  case tooManyRequests

  /// The outcome of a response status.
  public init(status: UInt16) {
    switch status {
    case 429: self = .tooManyRequests
    case 502, 503, 504: self = .gatewayError
    case 500...: self = .serverError
    default: self = .success
    }
  }

  /// Whether the path to the service failed, rather than the service with its answer.
  public var isGatewayFailure: Bool {
    switch self {
    case .connectFailure, .reset, .timeout, .gatewayError: true
    case .success, .serverError, .tooManyRequests: false
    }
  }

  /// Whether it counts among the 5xx of an endpoint, connections that failed included.
  public var isServerFailure: Bool { isGatewayFailure || self == .serverError }
}

/// Which outcomes count as failures.
public struct FailureKinds: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public init(_ outcome: AttemptOutcome) { rawValue = 1 << outcome.rawValue }

  public static let connectFailure = FailureKinds(.connectFailure)
  public static let reset = FailureKinds(.reset)
  public static let timeout = FailureKinds(.timeout)
  public static let gatewayError = FailureKinds(.gatewayError)
  public static let serverError = FailureKinds(.serverError)
  public static let tooManyRequests = FailureKinds(.tooManyRequests)

  /// What says that the service could not be had; a plain 500 is as often the request's own doing.
  public static let standard: FailureKinds = [.connectFailure, .reset, .timeout, .gatewayError]

  public func contains(_ outcome: AttemptOutcome) -> Bool { rawValue >> outcome.rawValue & 1 == 1 }
}
