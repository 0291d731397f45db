import TLS
import Testing

/// One front before a service of either protocol, with the settings to reach it.
struct ChoosingStage {
  /// For a service that is held: a connect may take longer than the test holds it.
  static let patience = "connections: {connectTimeout: 30s}"

  let upstream: ScriptedUpstream
  let service: HTTP2Upstream
  let front: TLSFront

  init(
    _ spoken: ApplicationProtocol?,
    upstream: ScriptedUpstream? = nil,
    service: HTTP2Upstream? = nil
  ) throws {
    self.upstream = try upstream ?? .echo()
    self.service = try service ?? .echo()
    if let spoken {
      front = try TLSFront(before: self.upstream) {
        $0.tls = { $0.applicationProtocols = [spoken] }
      }
      try become(spoken)
    } else {
      front = try TLSFront(before: self.upstream) { $0.tls = { $0.applicationProtocols = [] } }
    }
  }

  func become(_ spoken: ApplicationProtocol) throws {
    try front.become(spoken, before: spoken == .http2 ? service.port : upstream.port)
  }

  /// Ends every connection, and comes back as another.
  func restart(as spoken: ApplicationProtocol) throws {
    try become(spoken)
    upstream.closeConnections()
    service.closeConnections()
  }

  func settings(_ more: String = "") -> EdgeSettings {
    var settings = EdgeSettings.secureService(front, speaks: "auto", more: more)
    settings.policies = "timeoutMs: 30000"
    return settings
  }

  func play(
    _ backend: Backend,
    _ settings: EdgeSettings? = nil,
    _ play: (Scene) throws -> Void
  ) throws {
    defer { front.stop() }
    try Scene.play(
      backend,
      upstream,
      behind: service,
      settings: settings ?? self.settings(),
      play
    )
  }

  /// Connections that were made, by what is spoken on them.
  static func made(_ scene: Scene) throws -> (http1: Double, http2: Double) {
    let name = "spillway_upstream_connections_made_total{service=\"backend\""
    return (
      try scene.metric("\(name),protocol=\"http/1.1\"}"),
      try scene.metric("\(name),protocol=\"h2\"}")
    )
  }
}
