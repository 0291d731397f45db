import Testing

extension WireTests {
  /// Upstreams that die, lie or talk nonsense.
  struct BrokenUpstreamTests {
    @Test(arguments: Backend.allCases)
    func `RFC 9112 8: an upstream that dies inside a body leaves a response that shows it`(
      backend: Backend
    ) throws {
      let starts = [
        "Content-Length: 1000\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhel",
      ]
      for start in starts {
        for resets in [false, true] {
          let upstream = try ScriptedUpstream { peer, _ in
            try peer.send("HTTP/1.1 200 OK\r\n" + start)
            // A reset would overtake the bytes if the edge had not read them yet.
            if resets {
              _ = try? settled("the edge has read") { peer.socket.unsentBytes }
              peer.reset()
            } else {
              peer.close()
            }
          }
          try Scene.play(backend, upstream) { scene in
            let client = try scene.client()
            let answer = try client.exchange()
            #expect(answer.status == 200 || answer.status == 502)
            #expect(answer.status == 502 || !answer.isComplete, "\(start): the end was invented")
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that ends with its connection is not ended well by a reset`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\n\r\nhello")
        _ = try? settled("the edge has read") { peer.socket.unsentBytes }
        peer.reset()
      }
      try Scene.play(backend, upstream) { scene in
        let answer = try scene.client().exchange()

        #expect(!answer.isComplete)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream that closes or resets without an answer gives 502`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/reset" { peer.reset() } else { peer.close() }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for path in ["/close", "/reset"] {
          try client.post(path, "x")
          let answer = try client.response()
          #expect(answer.status == 502)
          #expect(answer.problem?["status"] as? Int == 502)
        }
        #expect(scene.upstream.requests.count == 2, "a POST was repeated")
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 6.3: an upstream that is no HTTP gives 502 and nothing of it passes`(
      backend: Backend
    ) throws {
      let answers = [
        "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 70_000) + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      ]
      let upstream = try ScriptedUpstream { peer, request in
        let index = Int(request.target.dropFirst()) ?? 0
        try peer.send(answers[index])
        try peer.hang()
      }
      try Scene.play(backend, upstream) { scene in
        for index in answers.indices {
          let answer = try scene.client().exchange("POST", "/\(index)")
          #expect(answer.status == 502, "\(answers[index].prefix(60).debugDescription)")
          #expect(answer.problem != nil)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a malformed chunk of a response ends the connection, not the body`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x5\r\nworld\r\n"
        )
        try peer.hang()
      }
      try Scene.play(backend, upstream) { scene in
        let answer = try scene.client().exchange()

        #expect(answer.status == 502 || !answer.isComplete)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that nobody asked for poisons no later request`(backend: Backend) throws {
      let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
      let answers = [
        "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      ]
      for answer in answers {
        let upstream = try ScriptedUpstream { peer, request in
          try peer.send(request.target == "/bait" ? answer + evil : answer)
        }
        try Scene.play(backend, upstream) { scene in
          for path in ["/bait", "/1", "/bait", "/2", "/3"] {
            let answer = try scene.client().exchange("GET", path)
            #expect(answer.text != "evil")
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that comes before any request is not believed`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, request.target)
        // Lies in wait on the kept connection for the next request to come.
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
      }
      try Scene.play(backend, upstream) { scene in
        for path in ["/1", "/2", "/3"] {
          _ = try settled("the bait lies there") { scene.upstream.sentBytes }
          #expect(try scene.client().exchange("GET", path).text == path)
        }
      }
    }
  }
}
