import Foundation
import Testing

/// What tests of admission share: services of a known limit, and what the edge says of them.
enum AdmissionScene {
  /// Settings of a service with a fixed limit and a route for each class, `/critical` and so on.
  ///
  /// `capacity` bounds each worker's queue; `mode` and `more` are the service's.
  static func settings(
    limit: Int,
    capacity: Int = 64,
    mode: String = "enforce",
    workers: Int = 1,
    more: String = ""
  ) -> EdgeSettings {
    var settings = EdgeSettings(workers: workers)
    settings.service =
      "admission: {mode: \(mode), limit: {kind: fixed, inFlight: \(limit)}, "
      + "queue: {capacity: \(capacity)}}" + (more.isEmpty ? "" : ", \(more)")
    settings.routes = ["critical", "important", "normal", "best-effort"].map {
      "name: \($0), match: {pathPrefix: /\($0)}, class: \($0), upstream: {service: backend}, "
        + "policies: {auth: none, timeoutMs: 30000}"
    }
    settings.policies = "timeoutMs: 30000"
    return settings
  }

  /// Sends GETs of these paths on one connection, all in one piece, so that all are decided about
  /// before the first answer can come.
  static func burst(
    _ client: HTTP2Client,
    _ paths: [String],
    _ fields: [(String, String)] = []
  ) throws -> [Int32] {
    client.isCorked = true
    let tokens = try paths.map { try client.request("GET", $0, fields) }
    client.isCorked = false
    try client.flush()
    return tokens
  }

  /// Plays until no request was given up for waiting too long, ten times at most.
  ///
  /// On a machine that stands still for a while some wait for longer than anybody has to, and the
  /// order in which the others are served is that of an overload.
  ///
  /// - Parameter round: Plays once. It hands over the answers and goes on where they can be judged.
  /// - Throws: What the rounds throw, or when none could be judged.
  static func unhurried(
    _ round: (_ judge: (_ answers: [HTTP2Client.Answer]) -> Bool) throws -> Void
  ) throws {
    var isJudged = false
    for _ in 0..<10 where !isJudged {
      try round { answers in
        isJudged = answers.allSatisfy { $0.reason != "shed-queue-timeout" }
        return isJudged
      }
    }
    guard isJudged else { throw WireFailure("the machine stands still too often") }
  }

  /// Waits until nothing holds a permit or waits, and nothing was forgotten.
  static func expectNothingHeld(_ scene: Scene) throws {
    var last = ""
    do {
      try eventually("every permit is back") {
        let metrics = try scene.metrics()
        let inFlight = try metrics.sum("spillway_concurrency_inflight") ?? -1
        let queued = try metrics.sum("spillway_queue_depth") ?? -1
        last = "\(inFlight) in flight, \(queued) queued"
        return inFlight == 0 && queued == 0
      }
    } catch {
      Issue.record("something is still held: \(last)")
    }
    #expect(try scene.metric("spillway_admission_permits_forgotten_total") == 0)
  }

  static func decisions(_ scene: Scene, _ labels: String) throws -> Double {
    try scene.metric("spillway_admission_decisions_total{\(labels)}")
  }

  /// The object that `/admin/services` has for the service `backend`.
  static func explanation(_ scene: Scene) throws -> [String: Any] {
    let root = try scene.explanation()
    guard let services = root["services"] as? [[String: Any]],
      let backend = services.first(where: { $0["name"] as? String == "backend" })
    else { throw WireFailure("no explanation of the service: \(root)") }
    return backend
  }
}

extension HTTP2Client.Answer {
  /// The `reason` of a problem document.
  var reason: String? {
    guard self["content-type"] == "application/problem+json" else { return nil }
    let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
    return object?["reason"] as? String
  }
}
