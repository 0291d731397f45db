/// Hard caps of a service and of each of its endpoints, over all workers; `Int32.max` is none.
public struct CapSettings: Sendable, Hashable, BitwiseCopyable {
  /// Requests that have an attempt under way.
  public var requests = Int32.max
  /// Requests that wait for room; 0 for none.
  public var pending = Int32.max
  public var endpointRequests = Int32.max
  public var endpointConnections = Int32.max

  public init() {}
}
