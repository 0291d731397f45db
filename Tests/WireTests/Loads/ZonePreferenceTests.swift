import Foundation
import Testing

extension WireTests {
  /// Requests that stay in the edge's own zone, and those that leave it.
  struct ZonePreferenceTests {
    private static func settings(
      _ upstreams: [ScriptedUpstream],
      zones: [String],
      _ service: String = "zonePreference: {}",
      zone: String? = "here"
    ) -> EdgeSettings {
      var settings = EdgeSettings()
      settings.hasDefaultRoute = false
      settings.root = zone.map { ["zone: \($0)"] } ?? []
      let list = zip(upstreams, zones).map { "{address: \"\($0.endpoint)\", zone: \($1)}" }
      settings.services = [
        "name: zoned, admission: {mode: \"off\"}, balance: round-robin, \(service), "
          + "endpoints: [\(list.joined(separator: ", "))]"
      ]
      settings.routes = [
        "name: z, match: {pathPrefix: /}, upstream: {service: zoned}, policies: {auth: none}"
      ]
      return settings
    }

    private static func ask(_ scene: Scene, _ count: Int) throws {
      let client = try scene.client()
      for number in 0..<count {
        #expect(try client.exchange("GET", "/\(number)").status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `requests stay at home`(backend: Backend) throws {
      let upstreams = try (0..<4).map { _ in try ScriptedUpstream.echoingTarget() }
      let settings = Self.settings(upstreams, zones: ["there", "here", "here", "elsewhere"])
      try Scene.play(
        backend,
        upstreams[0],
        upstreams[1],
        upstreams[2],
        upstreams[3],
        settings: settings
      ) { (scene: Scene) throws in
        try Self.ask(scene, 40)
        #expect(scene.upstreams.map(\.requests.count) == [0, 20, 20, 0])
        try eventually("attempts are counted") {
          try scene.metric("spillway_zone_attempts_total{zone=\"local\"}") == 40
        }
        #expect(try scene.metric("spillway_zone_attempts_total{zone=\"other\"}") == 0)
        #expect(try scene.metric("spillway_zone_local_share{service=\"zoned\"}") == 1)
        let services = try scene.explanation()["services"] as? [[String: Any]]
        let service = services?.first { $0["name"] as? String == "zoned" }
        let zone = try #require(service?["zone"] as? [String: Any])
        #expect(zone["own"] as? String == "here" && zone["localShare"] as? Double == 1)
        let text = try scene.admin("/admin/services?format=text").text
        #expect(text.contains("zone: 100% of the requests stay in here"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `an edge that does not know its zone asks all alike`(backend: Backend) throws {
      let upstreams = try (0..<2).map { _ in try ScriptedUpstream.echoingTarget() }
      let settings = Self.settings(upstreams, zones: ["here", "there"], zone: nil)
      try Scene.play(backend, upstreams[0], upstreams[1], settings: settings) {
        (scene: Scene) throws in
        try Self.ask(scene, 40)
        #expect(scene.upstreams.map(\.requests.count) == [20, 20])
        let text = try scene.admin("/admin/services?format=text").text
        #expect(text.contains("zone: the edge's own is not known"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is out at home goes elsewhere, in proportion and never altogether refused`(
      backend: Backend
    ) throws {
      let upstreams = try (0..<4).map { _ in try ScriptedUpstream.echoingTarget() }
      let settings = Self.settings(upstreams, zones: ["here", "here", "there", "there"])
      try Scene.play(
        backend,
        upstreams[0],
        upstreams[1],
        upstreams[2],
        upstreams[3],
        settings: settings
      ) { (scene: Scene) throws in
        func order(_ index: Int, _ order: String) throws {
          let client = try RawClient(port: scene.edge.adminPort)
          defer { client.close() }
          let endpoint = scene.upstreams[index].endpoint
          try client.send(
            "POST /admin/services/endpoint?service=zoned&endpoint=\(endpoint)&order=\(order) "
              + "HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
          )
          #expect(try client.response().status == 200)
        }
        // One that is drained is none at all: the other one is the zone.
        try order(0, "drain")
        try eventually("nobody asks it") {
          let before = scene.upstreams[0].requests.count
          try Self.ask(scene, 10)
          return scene.upstreams[0].requests.count == before
        }
        let others = scene.upstreams[2...].map(\.requests.count).reduce(0, +)
        try Self.ask(scene, 20)
        #expect(scene.upstreams[2...].map(\.requests.count).reduce(0, +) == others)

        try order(1, "drain")
        try eventually("all go elsewhere") {
          let before = scene.upstreams[2...].map(\.requests.count).reduce(0, +)
          try Self.ask(scene, 10)
          return scene.upstreams[2...].map(\.requests.count).reduce(0, +) == before + 10
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `half of the zone keeps seven tenths of the requests`(backend: Backend) throws {
      let failing = try ScriptedUpstream { peer, _ in try peer.respond(502) }
      let others = try (0..<3).map { _ in try ScriptedUpstream.echoingTarget() }
      let upstreams = [failing] + others
      let settings = Self.settings(
        upstreams,
        zones: ["here", "here", "there", "there"],
        "zonePreference: {}, outlier: {consecutive5xx: 1, consecutiveGatewayFailures: 1, "
          + "maxEjectionPercent: 50, baseEjection: 600s, maximumEjection: 600s}"
      )
      try Scene.play(
        backend,
        upstreams[0],
        upstreams[1],
        upstreams[2],
        upstreams[3],
        settings: settings
      ) { (scene: Scene) throws in
        let client = try scene.client()
        for _ in 0..<4 { _ = try client.exchange("GET", "/") }
        try eventually("it is out") {
          try scene.metric("spillway_outlier_ejected{service=\"zoned\"}") == 1
        }
        let before = scene.upstreams.map(\.requests.count)
        for _ in 0..<600 { _ = try client.exchange("GET", "/") }
        let counts = zip(scene.upstreams.map(\.requests.count), before).map { $0 - $1 }
        #expect(counts[0] == 0)
        #expect((360...480).contains(counts[1]), "\(counts)")
        #expect(abs(counts[2] - counts[3]) <= 1, "\(counts)")
        #expect(try scene.metric("spillway_zone_local_share") > 0.69)
      }
    }
  }
}
