import Foundation
import Synchronization

/// What tests of health checks share.
enum CheckScene {
  /// Where services are asked for their health.
  static let path = "/healthz"

  /// Checks that come one after the other, with time enough for a slow machine.
  static func settings(_ more: String = "", _ service: String = "") -> EdgeSettings {
    EdgeSettings(
      service: "balance: round-robin, health: {path: \(path), interval: 10ms, timeout: 30s"
        + (more.isEmpty ? "" : ", \(more)") + "}" + (service.isEmpty ? "" : ", \(service)")
    ).withoutAdmission
  }

  /// A service that says of its health what the mood is, and answers requests with another one.
  static func upstream(
    _ health: WireTests.BreakerTests.Mood,
    requests: WireTests.BreakerTests.Mood = WireTests.BreakerTests.Mood(200)
  ) throws -> ScriptedUpstream {
    try ScriptedUpstream { peer, request in
      let mood = request.target == path ? health : requests
      try peer.respond(mood.status, "x")
    }
  }
}

extension ScriptedUpstream {
  /// Checks that came.
  var checks: [UpstreamRequest] { requests.filter { $0.target == CheckScene.path } }

  /// Requests of clients that came.
  var served: Int { requests.count { $0.target != CheckScene.path } }
}

extension Scene {
  /// What an operator is told of services.
  func told() throws -> String { try admin("/admin/services?format=text").text }

  /// Waits until operators are told this.
  func awaitTold(_ text: String) throws {
    var last = ""
    do {
      try eventually("told: \(text)") {
        last = try told()
        return last.contains(text)
      }
    } catch {
      throw WireFailure("\(error), but\n\(last)")
    }
  }

  /// Whether checks say that an endpoint of `backend` is down.
  func isDown(_ endpoint: String) throws -> Bool {
    try metric(
      "spillway_endpoint_unhealthy{service=\"backend\",endpoint=\"\(endpoint)\",cause=\"check\"}"
    ) == 1
  }

  /// Checks that came to a result.
  func checks(_ result: String) throws -> Int {
    Int(try metric("spillway_health_checks_total{service=\"backend\",result=\"\(result)\"}"))
  }
}
