/// Hard caps of a service over all workers, and how many requests wait where one is reached.
public struct CapSetting: Sendable, Hashable {
  /// What each endpoint may have.
  public struct Endpoint: Sendable, Hashable {
    /// `nil` for no cap, as with `requests`.
    public var connections: Int?
    public var requests: Int?
    /// Requests that may wait for each endpoint that the service has; `nil` for the service's alone.
    public var pending: Int?

    public init() {}
  }

  /// Requests with an attempt under way; `nil` for no cap.
  public var requests: Int?
  /// Requests that may wait for room: as many as Envoy has by default.
  public var pending = 1_024
  public var perEndpoint = Endpoint()

  public init() {}
}
