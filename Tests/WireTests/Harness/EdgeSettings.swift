/// The configuration of one scene, written in the format that operators write.
///
/// Each part is the inside of a YAML flow mapping, so a test states only what it is about.
struct EdgeSettings {
  /// More fields of the listener `public`, such as `limits: {headTimeout: 300ms}`.
  var listener = ""
  /// More listeners, each a flow mapping.
  var listeners: [String] = []
  /// Addresses of the service `backend`; those of the scene's upstreams when empty.
  var endpoints: [String] = []
  /// Where the endpoints of the service `backend` come from, in place of `endpoints`.
  var discovery = ""
  /// More fields of the service `backend`.
  var service = ""
  /// More services, each a flow mapping.
  var services: [String] = []
  /// More policies of the route `all`.
  var policies = ""
  /// More routes, each a flow mapping.
  var routes: [String] = []
  /// Whether there is a route `all` that sends everything to `backend`.
  var hasDefaultRoute = true
  /// More lines at the root.
  var root: [String] = []
  var admin = "127.0.0.1:0"
  var accessLog = "\"off\""
  var workers = 1
  /// When the edge itself sheds: never because this machine is slow or full, unless a test says so.
  var overload = "loopDelay: 60s, memory: 100%"

  /// The same with a service that takes whatever comes, for tests that are not about its capacity: a
  /// service that nothing is known of, or that breaks, is asked by a few requests at a time.
  var withoutAdmission: EdgeSettings {
    var settings = self
    settings.service += (service.isEmpty ? "" : ", ") + "admission: {mode: \"off\"}"
    return settings
  }

  /// The text, with `endpoints` of the scene where the test named none.
  func yaml(endpoints scene: [String]) -> String {
    let addresses = (endpoints.isEmpty ? scene : endpoints).map { "\"\($0)\"" }
    var lines = [
      "environment: test",
      "workers: \(workers)",
      "admin: {address: \"\(admin)\"}",
      "accessLog: {output: \(accessLog)}",
      "overload: {\(overload)}",
    ]
    lines += root
    lines.append("listeners:")
    lines.append("  - {name: public, address: \"127.0.0.1:0\"\(more(listener))}")
    lines += listeners.map { "  - {\($0)}" }
    if !addresses.isEmpty || !services.isEmpty || !discovery.isEmpty { lines.append("services:") }
    if !discovery.isEmpty {
      lines.append("  - {name: backend, discovery: {\(discovery)}\(more(service))}")
    } else if !addresses.isEmpty {
      let list = addresses.joined(separator: ", ")
      lines.append("  - {name: backend, endpoints: [\(list)]\(more(service))}")
    }
    lines += services.map { "  - {\($0)}" }
    lines.append("routes:")
    lines += routes.map { "  - {\($0)}" }
    if hasDefaultRoute {
      lines.append(
        "  - {name: all, match: {pathPrefix: /}, upstream: {service: backend}, "
          + "policies: {auth: none\(more(policies))}}"
      )
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func more(_ part: String) -> String { part.isEmpty ? "" : ", \(part)" }
}
