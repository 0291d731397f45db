/// How the edge's own calls are served.
struct CallPlan: Sendable {
  /// What logs and metrics name the listener and the route of such calls.
  static let name = "internal"

  /// Whose rules their connections have: it has no socket, and nobody connects to it.
  ///
  /// `nil` where no calls are served.
  var listener: ListenerSettings?
  /// Their routes by the places of services: in no table of routes, so no request leads there.
  var routes: [Int32: Int32] = [:]

  /// The route of calls to a service, or -1.
  func route(to service: Int32) -> Int32 { routes[service] ?? -1 }
}
