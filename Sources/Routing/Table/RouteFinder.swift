/// Finds rules of a ``RouteTable`` through plain pointers, as long as the table lives.
public struct RouteFinder: Sendable {
  let view: TableView

  /// The rule that takes a request; allocates nothing and takes no locks.
  public func find(_ request: RouteRequest) -> RouteLookup { view.find(request) }
}
