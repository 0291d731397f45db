import Testing

/// What tests of retries share: services that fail as the target says, and what the edge counted.
enum RetryScene {
  /// Settings of one service that takes whatever comes and has retries in plenty.
  static func settings(
    _ policies: String,
    budget: String = "{ratio: 1, minimumPerSecond: 1000}",
    service: String = ""
  ) -> EdgeSettings {
    var settings = EdgeSettings(policies: "timeoutMs: 30000, \(policies)")
    settings.service =
      "admission: {mode: \"off\"}, retryBudget: \(budget)" + (service.isEmpty ? "" : ", \(service)")
    return settings
  }

  /// Which attempt of a request this is, as the edge tells it.
  static func attempt(_ request: UpstreamRequest) -> Int {
    request["x-envoy-attempt-count"].flatMap { Int($0) } ?? 0
  }

  /// A service that fails first attempts as the last part of the target says, and answers others with
  /// the body that came.
  ///
  /// Each connection carries one request: what breaks on a kept one would be repeated at once,
  /// without being a retry.
  static func failingOnce() throws -> ScriptedUpstream {
    try ScriptedUpstream { peer, request in
      let isFirst = attempt(request) < 2
      try fail(peer, String(request.target.split(separator: "/").last ?? ""), isFirst)
      if !peer.isDone {
        try peer.respond(200, "\(request.method) \(request.text)", "Connection: close")
        peer.close()
      }
    }
  }

  private static func fail(_ peer: UpstreamPeer, _ fault: String, _ isFirst: Bool) throws {
    guard isFirst else { return }
    switch fault {
    case "reset": peer.reset()
    case "close": peer.close()
    case "hang": try peer.hang()
    case "nonsense":
      try peer.send("SSH-2.0-OpenSSH\r\n\r\n")
      peer.close()
    case "again": try refuse(peer, 200, "X-Again: no")
    case "again-yes": try refuse(peer, 200, "x-again: yes")
    default:
      if let status = Int(fault) { try refuse(peer, status, "X-First: 1") }
    }
  }

  private static func refuse(_ peer: UpstreamPeer, _ status: Int, _ field: String) throws {
    try peer.respond(status, "first", field, "Connection: close")
    peer.close()
  }

  /// Failures that came to something, of one condition and outcome or of all.
  static func retries(
    _ scene: Scene,
    _ outcome: String? = nil,
    of condition: String? = nil
  ) throws -> Int {
    let labels = [outcome.map { "outcome=\"\($0)\"" }, condition.map { "condition=\"\($0)\"" }]
    let selector = labels.compactMap(\.self).joined(separator: ",")
    return Int(try scene.metric("spillway_retries_total{\(selector)}"))
  }

  /// How much of the budget is left.
  static func remaining(_ scene: Scene) throws -> Double {
    try scene.metrics().sum("spillway_retry_budget_remaining_ratio{service=\"backend\"}") ?? -1
  }
}
