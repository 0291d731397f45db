import Foundation
import Testing
import Units

/// What tests of hedges share: routes that have learned how long their requests take, services that
/// tell first attempts from second ones, and what the edge counted.
enum HedgeScene {
  /// Settings of one service that takes whatever comes, and whose budget of retries is large.
  ///
  /// With the 99th percentile hardly a request is hedged while the route learns, whatever this
  /// machine does meanwhile.
  static func settings(
    _ policies: String = "",
    budget: String = "{ratio: 1, minimumPerSecond: 1000}",
    admission: String = "{mode: \"off\"}",
    service: String = ""
  ) -> EdgeSettings {
    var settings = EdgeSettings(
      policies: "hedge: {percentile: 0.99}, " + (policies.isEmpty ? "timeoutMs: 30000" : policies)
    )
    settings.service =
      "admission: \(admission), retryBudget: \(budget)" + (service.isEmpty ? "" : ", \(service)")
    return settings
  }

  /// Lets the route learn, and save up some hedges; services answer `/warm` at once.
  ///
  /// Half of the samples would do, as one counts half after 30 s. Where the machine is uneven the
  /// route hedges meanwhile, so it goes on until that was a few times at most: then six are left.
  ///
  /// - Returns: The requests that it took.
  @discardableResult
  static func warm(_ scene: Scene) throws -> Int {
    let client = try scene.client()
    let deadline = Deadline(after: .seconds(120))
    var used = 0
    var asked = 0
    repeat {
      guard !deadline.hasPassed else { throw WireFailure("the machine is too uneven") }
      let before = try count(scene, "sent")
      // An answer may be late on a machine that hangs.
      for _ in 0..<200 { _ = try client.exchange("GET", "/warm") }
      asked += 200
      used = try count(scene, "sent") - before
    } while try used > 4 || !knowsEnough(scene)
    client.close()
    return asked
  }

  /// Milliseconds after which the route `all` hedges now; `nil` while it does not.
  static func delay(_ scene: Scene) throws -> Double? {
    try hedges(scene)["delayMs"] as? Double
  }

  /// Whether the route `all` goes on hedging when half of what it has seen is forgotten.
  private static func knowsEnough(_ scene: Scene) throws -> Bool {
    let hedges = try hedges(scene)
    return hedges["delayMs"] is Double && (hedges["samples"] as? Int ?? 0) >= 199
  }

  private static func hedges(_ scene: Scene) throws -> [String: Any] {
    guard let hedges = try scene.explanation()["hedges"] as? [[String: Any]],
      let all = hedges.first(where: { $0["route"] as? String == "all" })
    else { throw WireFailure("no explanation of the route's hedges") }
    return all
  }

  /// Which attempt of a request this is, as the edge tells it.
  static func attempt(_ request: UpstreamRequest) -> Int { RetryScene.attempt(request) }

  static func attempt(_ request: HTTP2Upstream.Request) -> Int {
    request["x-envoy-attempt-count"].flatMap { Int($0) } ?? 0
  }

  /// Called for each request but `/warm`, with the number of its attempt.
  typealias Script = @Sendable (UpstreamPeer, UpstreamRequest, Int) throws -> Void

  static func script(_ body: @escaping Script) -> Script { body }

  /// A service that answers `/warm` at once, and other requests as `script` says.
  static func service(_ script: @escaping Script) throws -> ScriptedUpstream {
    try ScriptedUpstream { peer, request in
      guard request.target != "/warm" else { return try peer.respond(200) }
      try script(peer, request, attempt(request))
    }
  }

  /// Two of these, of which the edge may ask either first.
  static func play(
    _ backend: Backend,
    _ script: @escaping Script,
    settings: EdgeSettings = settings(),
    _ play: (Scene) throws -> Void
  ) throws {
    try Scene.play(backend, service(script), service(script), settings: settings) { scene in
      try warm(scene)
      try play(scene)
    }
  }

  /// What came of a scene's requests beside those that it learned from, by attempt, in their order.
  static func attempts(_ scene: Scene, at target: String? = nil) -> [Int] {
    requests(scene, at: target).map(attempt).sorted()
  }

  static func requests(_ scene: Scene, at target: String? = nil) -> [UpstreamRequest] {
    scene.upstreams.flatMap(\.requests).filter {
      target == nil ? $0.target != "/warm" : $0.target == target
    }
  }

  /// Attempts that the edge ended while their services waited for more.
  static func cancellations(_ scene: Scene) -> Int {
    scene.upstreams.reduce(0) { $0 + $1.cancellations }
  }

  /// Waits until this attempt of the request is with a service.
  static func expect(_ attempt: Int, of target: String, _ scene: Scene) throws {
    try eventually("attempt \(attempt) of \(target) is there") {
      requests(scene, at: target).contains { Self.attempt($0) == attempt }
    }
  }

  /// How often this came of hedges, of all reasons or one.
  static func count(_ scene: Scene, _ result: String, _ reason: String? = nil) throws -> Int {
    let more = reason.map { ",reason=\"\($0)\"" } ?? ""
    return Int(try scene.metric("spillway_hedges_total{result=\"\(result)\"\(more)}"))
  }
}
