public import Units

/// What the endpoints of a service are asked, whether requests come or not.
public struct HealthCheckSetting: Sendable, Hashable {
  public enum Kind: String, Sendable, CaseIterable {
    /// A GET, in the version of HTTP that the service speaks.
    case http
    /// `grpc.health.v1.Health/Check`.
    case grpc
    /// A connection, with the handshake where the service speaks TLS.
    case tcp
  }

  public var kind = Kind.http
  /// With `http`: the target of the request.
  public var path = "/"
  /// With `http` and `grpc`: the authority; `nil` for the endpoint as the file names it.
  public var host: String?
  /// With `http`: the expected statuses.
  public var statuses: [ClosedRange<Int>] = [200...299]
  /// With `grpc`: the service that is asked for, empty for the server as a whole.
  public var grpcService = ""
  public var interval = Nanoseconds.seconds(5)
  public var timeout = Nanoseconds.seconds(1)
  /// Results in a row that bring an endpoint back, and those that take it out.
  public var healthy = 2
  public var unhealthy = 3

  public init() {}
}
