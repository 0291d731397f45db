import Testing

extension WireTests {
  /// Request bodies that are sent once more.
  struct RetryBodyTests {
    /// Kept bodies have this bound.
    private static let bound = 65_536

    /// A text in which no part can stand for another.
    private static func text(_ count: Int) -> String {
      var text = ""
      var number = 0
      while text.utf8.count < count {
        text += "\(number),"
        number += 1
      }
      return String(text.prefix(count))
    }

    private static func chunked(_ body: String, _ trailers: String = "") -> String {
      var text = ""
      var rest = Substring(body)
      var size = 1
      while !rest.isEmpty {
        let part = rest.prefix(size)
        text += String(part.utf8.count, radix: 16) + "\r\n\(part)\r\n"
        rest = rest.dropFirst(size)
        size = size * 3 % 20_011 + 1
      }
      return text + "0\r\n\(trailers)\r\n"
    }

    private static let head = "PUT /503 HTTP/1.1\r\nHost: edge.test\r\n"

    @Test(arguments: Backend.allCases)
    func `a body of known length goes out again to the bound and not past it`(
      backend: Backend
    ) throws {
      let settings = RetryScene.settings("retries: 1, retryOn: [503]")
      try Scene.play(backend, RetryScene.failingOnce(), settings: settings) { scene in
        for count in [0, 1, 10_000, 16_384, 40_000, Self.bound, Self.bound + 1, 200_000] {
          let body = Self.text(count)
          let client = try scene.client()
          try client.send(Self.head + "Content-Length: \(count)\r\n\r\n" + body)
          let answer = try client.response(to: "PUT")

          let isKept = count <= Self.bound
          #expect(answer.status == (isKept ? 200 : 503), "\(count)")
          if isKept { #expect(answer.text == "PUT \(body)", "\(count)") }
          let last = scene.upstream.requests.last
          #expect(last?.text == body && last?.head.contentLength == count)
        }
        #expect(try RetryScene.retries(scene, "body-not-kept") == 2)
        #expect(try RetryScene.retries(scene, "succeeded") == 6)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body in chunks goes out again to the bound, without trailers`(
      backend: Backend
    ) throws {
      let settings = RetryScene.settings("retries: 1, retryOn: [503]")
      try Scene.play(backend, RetryScene.failingOnce(), settings: settings) { scene in
        for (count, trailers) in [
          (0, ""), (1, ""), (40_000, ""), (Self.bound, ""), (Self.bound + 1, ""),
          (200_000, ""), (10, "x-sum: 1\r\n"),
        ] {
          let body = Self.text(count)
          let client = try scene.client()
          let framing = "Transfer-Encoding: chunked\r\n\r\n"
          try client.send(Self.head + framing + Self.chunked(body, trailers))
          let answer = try client.response(to: "PUT")

          let isKept = count <= Self.bound && trailers.isEmpty
          #expect(answer.status == (isKept ? 200 : 503), "\(count)")
          let last = scene.upstream.requests.last
          #expect(last?.text == body && last?.isComplete == true, "\(count)")
        }
        #expect(try RetryScene.retries(scene, "body-not-kept") == 3)
        #expect(try RetryScene.retries(scene, "succeeded") == 4)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body that is still coming goes on with the next attempt`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        guard RetryScene.attempt(request) > 1 else {
          // What it does not read may make a reset of its end: either is repeated.
          try peer.respond(503, "", "Connection: close")
          return peer.close()
        }
        let whole = try peer.readBody(of: request)
        try peer.respond(200, whole.text)
      }
      let settings = RetryScene.settings("retries: 1, retryOn: [503, reset]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        for (framing, frame) in [
          ("Content-Length: 60000", { (part: String) in part }),
          (
            "Transfer-Encoding: chunked",
            { (part: String) in String(part.utf8.count, radix: 16) + "\r\n\(part)\r\n" }
          ),
        ] {
          let before = scene.upstream.requests.count
          let body = Self.text(60_000)
          let client = try scene.client()
          try client.send(Self.head + framing + "\r\n\r\n" + frame(String(body.prefix(20_000))))
          try eventually("the next attempt is there") {
            scene.upstream.requests.count == before + 2
          }
          try client.send(frame(String(body.dropFirst(20_000).prefix(30_000))))
          try client.send(frame(String(body.dropFirst(50_000))))
          if framing.hasPrefix("T") { try client.send("0\r\n\r\n") }
          let answer = try client.response(to: "PUT")

          #expect(answer.status == 200 && answer.text == body, "\(framing)")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies of HTTP/2 clients go out again over HTTP/1.1`(backend: Backend) throws {
      let settings = RetryScene.settings("retries: 2, retryOn: [503, reset]")
      try Scene.play(backend, RetryScene.failingOnce(), settings: settings) { scene in
        let client = try scene.http2()
        for count in [0, 5, 40_000, Self.bound, Self.bound + 1] {
          for isStated in [false, true] {
            let body = Self.text(count)
            let fields = isStated ? [("content-length", "\(count)")] : []
            let answer = try client.exchange("PUT", "/503", fields, body: Array(body.utf8))

            let isKept = count <= Self.bound
            #expect(answer.status == (isKept ? 200 : 503), "\(count) \(isStated)")
            #expect(scene.upstream.requests.last?.text == body)
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that sends on while its retry waits is held, and then served`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        guard RetryScene.attempt(request) > 1 else {
          // The body may be on its way already, and this takes all of it: nothing else goes here.
          try peer.respond(503, "", "Retry-After: 1", "Connection: close")
          return try peer.hang()
        }
        let whole = try peer.readBody(of: request)
        try peer.respond(200, whole.text)
      }
      let settings = RetryScene.settings("retries: 1, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let body = Self.text(50_000)
        let client = try scene.client()
        try client.send(Self.head + "Content-Length: 50000\r\n\r\n")
        try eventually("its head is there") { scene.upstream.requests.count == 1 }
        try client.send(body)
        let answer = try client.response(to: "PUT")

        // Its body may have met the first attempt, which then ended with it.
        #expect(answer.status == 200 && answer.text == body)
      }
    }
  }
}
