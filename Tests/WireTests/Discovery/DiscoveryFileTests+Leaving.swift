import Edge
import Foundation
import Synchronization
import Testing
import Units

/// What becomes of requests and streams whose endpoint leaves its list.
extension WireTests.DiscoveryFileTests {
  @Test(arguments: Backend.allCases)
  func `a request that waits does not go to an endpoint that has left meanwhile`(
    backend: Backend
  ) throws {
    let gate = Gate()
    let upstreams = try (0..<2).map { _ in
      try ScriptedUpstream.echoingTarget(behind: gate, at: "/slow")
    }
    let file = try ListFile(upstreams.map(\.endpoint))
    var settings = AdmissionScene.settings(limit: 1)
    settings.discovery = file.discovery
    settings.routes.append(
      "name: local, match: {path: /local}, respond: {status: 200}, policies: {auth: none}"
    )
    try Scene.play(backend, upstreams[0], upstreams[1], settings: settings) { scene in
      let slow = try scene.client()
      try slow.request("GET", "/slow")
      try eventually("it is under way") {
        upstreams.reduce(0) { $0 + $1.requests.count } == 1
      }
      let (busy, idle) =
        upstreams[0].requests.isEmpty
        ? (upstreams[1], upstreams[0]) : (upstreams[0], upstreams[1])
      // The other endpoint has nothing to do: it would be chosen.
      let waiting = try (0..<4).map { number in
        let client = try scene.client()
        try client.request("GET", "/\(number)")
        return client
      }
      try eventually("they wait") {
        try scene.metric("spillway_queue_depth{service=\"backend\"}") == 4
      }

      file.list([busy.endpoint])
      try eventually("the list is taken") {
        let text = try scene.admin("/admin/services").text
        return text.contains(busy.endpoint) && !text.contains(idle.endpoint)
      }
      // A worker that answers twice has read its mail.
      let local = try scene.client()
      for _ in 0..<2 { #expect(try local.exchange("GET", "/local").status == 200) }
      gate.open()

      #expect(try slow.response().text == "/slow")
      for (number, client) in waiting.enumerated() {
        // On a slow machine the queue stands, and who waits in it too long is shed.
        let answer = try client.response()
        #expect(answer.status == 503 || answer.text == "/\(number)")
      }
      #expect(idle.requests.isEmpty)
    }
  }

  private static func shared(_ name: String) throws -> HTTP2Upstream {
    try HTTP2Upstream { peer, request, moment in
      if moment == .end { try peer.respond(request, 200, body: Array(name.utf8)) }
    }
  }

  @Test(arguments: Backend.allCases)
  func `streams at an endpoint that leaves finish, and its session ends`(
    backend: Backend
  ) throws {
    let (first, second) = (try Self.shared("first"), try Self.shared("second"))
    let file = try ListFile([first.endpoint])
    try Scene.play(backend, h2c: first, second, settings: Self.settings(file)) { scene in
      let slow = try scene.client()
      try slow.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
      try eventually("it is under way") { first.requests.count == 1 }

      file.list([second.endpoint])
      let client = try scene.client()
      try eventually("the second one serves") {
        try client.exchange("GET", "/").text == "second"
      }
      try slow.send("cd")

      #expect(try slow.response().text == "first")
      try eventually("its session is closed") { first.openConnections == 0 }
    }
  }
}
