import Edge
import Foundation
import Testing
import Units

extension WireTests {
  /// Calls of the edge's own of which nothing comes: each ends, in words for an operator.
  struct CallFailureTests {
    private static func expect(
      _ call: HeldCall,
      says words: String,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(
        call.failure?.contains(words) == true,
        "\(call.failure ?? "no failure, status \(call.status)")",
        sourceLocation: sourceLocation
      )
    }

    @Test(arguments: Backend.allCases)
    func `a service that nobody knows, that has no endpoint, or that takes no connection`(
      backend: Backend
    ) throws {
      let file = try ListFile()
      var settings = EdgeSettings()
      settings.services = ["name: empty, discovery: {\(file.discovery)}"]
      try Scene.play(backend, .echo(), settings: settings) { (scene: Scene) throws in
        let unknown = try scene.call(service: "nobody")
        #expect(unknown.failure == "service nobody: the configuration has no such service")
        Self.expect(try scene.call(service: "empty"), says: "(no-endpoint)")

        try scene.upstream.goAway()
        let refused = try scene.call()

        #expect(
          refused.failure
            == "service backend: No endpoint of the service accepted a connection. (connect-failed)"
        )
        #expect(refused.events.count == 1, "the edge's own answer is no answer of the service")
        try scene.upstream.comeBack()
      }
    }

    @Test(arguments: Backend.allCases)
    func `what the service itself says is its answer, whatever it is`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(Int(request.target.dropFirst()) ?? 0, "own words")
      }
      try Scene.play(backend, upstream, settings: EdgeSettings().withoutAdmission) { scene in
        for status in [404, 500, 502, 503, 504] {
          let answer = try scene.call("GET", "/\(status)")
          #expect(answer.isWhole && answer.status == status && answer.text == "own words")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an answer that is larger than wanted, told before or not`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/length" {
          try peer.respond(200, String(repeating: "x", count: 101))
        } else {
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
          // It has no end: what stops it is the bound.
          while true { try peer.send("20\r\n\(String(repeating: "x", count: 32))\r\n") }
        }
      }
      try Scene.play(backend, upstream) { scene in
        for target in ["/length", "/chunks"] {
          let request = ServiceRequest(service: "backend", target: target, maximumBytes: 100)
          let call = try scene.begin(request).finished()
          Self.expect(call, says: "larger than 100 bytes")
          #expect(call.body.count <= 100)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an answer that is none, that is cut off, and one of which a part is none`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        switch request.target {
        case "/none": try peer.send("SSH-2.0-OpenSSH_9.6\r\n\r\n")
        case "/closed": break
        case "/cut": try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        case "/chunk":
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n")
        default: try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
        }
        peer.close()
      }
      try Scene.play(backend, upstream, settings: EdgeSettings().withoutAdmission) { scene in
        Self.expect(try scene.call("GET", "/none"), says: "(upstream-malformed)")
        Self.expect(try scene.call("POST", "/closed"), says: "(upstream-reset)")
        for target in ["/cut", "/chunk", "/end"] {
          let call = try scene.call("GET", target)
          #expect(call.failure?.hasPrefix("service backend: ") == true, "\(call.events)")
          #expect(!call.isWhole)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that hangs, that trickles, and a watch that is silent for too long`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        switch request.target {
        case "/trickle":
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
          while true {
            try peer.send("1\r\nx\r\n")
            usleep(20_000)
          }
        case "/silent":
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
          try peer.hang()
        default: try peer.hang()
        }
      }
      var times = CallTimes()
      times.answer = .milliseconds(200)
      times.idle = .seconds(4)
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, upstream, settings: settings, calls: times) { scene in
        Self.expect(try scene.call("GET", "/hang"), says: "(upstream-timeout)")
        Self.expect(try scene.call("GET", "/trickle"), says: "(upstream-timeout)")
        Self.expect(try scene.watch("/hang").finished(), says: "(upstream-timeout-per-try)")
        let silent = try scene.watch("/silent").finished()
        Self.expect(silent, says: "broke off")
        Self.expect(silent, says: "(stream-idle)")
        try eventually("the service was told each time") {
          scene.upstream.openConnections == 0
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an open breaker refuses a call as it does a request`(backend: Backend) throws {
      let settings = EdgeSettings(service: "breaker: {consecutiveFailures: 2, open: 600s}")
        .withoutAdmission
      let upstream = try ScriptedUpstream { peer, _ in try peer.respond(502, "bad") }
      try Scene.play(backend, upstream, settings: settings) { scene in
        for _ in 0..<2 { #expect(try scene.call().status == 502) }

        Self.expect(try scene.call(), says: "(breaker-open)")
        Self.expect(try scene.watch().finished(), says: "(breaker-open)")
        #expect(scene.upstream.requests.count == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what code gives that would be another request is never sent`(backend: Backend) throws {
      try Scene.play(backend, .echo()) { (scene: Scene) throws in
        let hostile: [ServiceRequest] = [
          ServiceRequest(service: "backend\r\nX: y", target: "/"),
          ServiceRequest(service: "back\0end", target: "/"),
          ServiceRequest(service: "backend", target: "/ HTTP/1.1\r\nX: y\r\n\r\nGET /"),
          ServiceRequest(service: "backend", target: "/a b"),
          ServiceRequest(service: "backend", target: "/a\0"),
          ServiceRequest(service: "backend", target: ""),
          ServiceRequest(service: "backend", target: "http://other/"),
          ServiceRequest(
            service: "backend",
            method: "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET",
            target: "/"
          ),
          ServiceRequest(service: "backend", method: "", target: "/"),
          ServiceRequest(service: "backend", method: "CONNECT", target: "/"),
          ServiceRequest(service: "backend", method: "TRACE", target: "/"),
        ]
        for request in hostile {
          let call = try scene.begin(request).finished()
          #expect(call.events.count == 1 && call.failure != nil, "\(request)")
          #expect(call.failure?.contains { $0.isNewline || $0 == "\0" } == false)
        }
        let fields: [(String, String)] = [
          ("x", "a\r\nb: c"), ("x", "a\nb: c"), ("x", "a\r"), ("x", "a\0"), ("x: y\r\nz", "a"),
          ("", "a"), ("x y", "a"), ("host", "a\r\nb: c"), ("host", "a b"),
          ("content-length", "3"), ("Transfer-Encoding", "chunked"), ("connection", "close"),
          ("upgrade", "websocket"), ("expect", "100-continue"), ("te", "trailers"),
        ]
        for (name, value) in fields {
          let call = try scene.call("GET", "/", [ServiceField(name, value)])
          #expect(call.events.count == 1 && call.failure != nil, "\(name): \(value)")
        }
        let large = ServiceField("x", String(repeating: "x", count: 20_000))
        #expect(try scene.call("GET", "/", [large]).failure != nil)

        #expect(scene.upstream.requests.isEmpty)
        #expect(try scene.call("GET", "/good").status == 200)
      }
    }
  }
}
