/// When and how often a route's requests are sent to their service once more.
public struct RetrySetting: Sendable, Equatable {
  /// What of an attempt is worth another one.
  public enum Condition: Sendable, Hashable {
    /// No connection came about.
    case connectFailure
    /// The connection broke, or the time of one attempt ran out, before a response came.
    case reset
    /// The service refused the request without processing it.
    case refusedStream
    /// Any 5xx, and whatever the edge would answer with one.
    case serverError
    /// 502, 503 and 504.
    case gatewayError
    /// One status, in `400...599`.
    case status(Int)
    /// A response field, whatever it says or with exactly this value.
    case header(String, value: String?)
    case call(CallStatus)
  }

  /// Statuses of gRPC that may be worth another attempt.
  public enum CallStatus: String, Sendable, CaseIterable {
    case cancelled
    case deadlineExceeded = "deadline-exceeded"
    case resourceExhausted = "resource-exhausted"
    case `internal`
    case unavailable

    /// The number of `grpc-status`.
    public var code: Int {
      switch self {
      case .cancelled: 1
      case .deadlineExceeded: 4
      case .resourceExhausted: 8
      case .internal: 13
      case .unavailable: 14
      }
    }
  }

  /// Retries of one request: a gateway that repeats more often multiplies an outage.
  public static let most = 2
  /// Retries where `retryOn` is stated alone.
  public static let usual = 1
  /// Conditions of one route, and the fields among them.
  public static let mostConditions = 32
  public static let mostHeaders = 8
  /// What neither the service nor its load can be blamed for twice: the request was hardly seen, or
  /// refused for the moment.
  public static let usualConditions: [Condition] = [
    .connectFailure, .reset, .refusedStream, .status(503),
  ]

  /// Retries of one request, in `0...most`.
  public var retries = 0
  public var conditions = RetrySetting.usualConditions

  public init() {}
}

extension RetrySetting.Condition: CustomStringConvertible {
  /// As a file says it, fields apart.
  public var description: String {
    switch self {
    case .connectFailure: "connect-failure"
    case .reset: "reset"
    case .refusedStream: "refused-stream"
    case .serverError: "5xx"
    case .gatewayError: "gateway-error"
    case .status(let status): "\(status)"
    case .header(let name, let value): "header \(name)" + (value.map { ": \($0)" } ?? "")
    case .call(let status): "grpc-\(status.rawValue)"
    }
  }

  /// Whether it says that the service did nothing with the request, so that any may be repeated.
  public var isHarmless: Bool {
    switch self {
    case .connectFailure, .refusedStream: true
    case .reset, .serverError, .gatewayError, .status, .header, .call: false
    }
  }
}

/// How many retries a service may be sent, by all routes together, hedges included.
public struct RetryBudgetSetting: Sendable, Equatable {
  /// Retries for each request of the last 10 s, in `0...1`.
  public var ratio = 0.2
  /// Retries a second beside that: a service with few requests would have none.
  public var minimumPerSecond = 10

  public static let largestMinimum = 100_000

  public init() {}
}
