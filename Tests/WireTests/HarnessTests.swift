import Testing

/// The harness pointed at itself: a judge that misreads bytes judges nothing.
@Suite(.serialized)
struct HarnessTests {
  private func ask(
    _ upstream: ScriptedUpstream,
    _ body: (RawClient, ScriptedUpstream) throws -> Void
  ) throws {
    defer { upstream.stop() }
    let client = try RawClient(port: upstream.port)
    defer { client.close() }
    try body(client, upstream)
  }

  @Test func `reads a response with a length and keeps the connection`() throws {
    try ask(.echoingTarget()) { client, upstream in
      for path in ["/a", "/b", "/c"] {
        let response = try client.exchange("GET", path)
        #expect(response.status == 200)
        #expect(response.text == path)
        #expect(response.framing == .length)
      }

      #expect(upstream.acceptedConnections == 1)
      #expect(upstream.requests.map(\.ordinal) == [0, 1, 2])
      #expect(upstream.requests.map(\.isComplete) == [true, true, true])
    }
  }

  @Test func `reads chunks that come byte by byte with their trailers`() throws {
    let answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      + "5;x=1\r\nhello\r\n0\r\nA: b\r\n\r\n"
    let upstream = try ScriptedUpstream { peer, _ in
      for byte in answer.utf8 { try peer.send([byte]) }
    }
    try ask(upstream) { client, _ in
      let response = try client.exchange()

      #expect(response.text == "hello")
      #expect(response.trailers == [Field(name: "A", value: "b")])
      #expect(response.isComplete)
    }
  }

  @Test func `tells a truncated body from a whole one`() throws {
    let answers = [
      "Content-Length: 9\r\n\r\nhello",
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ]
    for answer in answers {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\n" + answer)
        peer.close()
      }
      try ask(upstream) { client, _ in
        let response = try client.exchange()
        #expect(response.text == "hello")
        #expect(!response.isComplete)
      }
    }
  }

  @Test func `tells a reset from an ordinary end`() throws {
    let upstream = try ScriptedUpstream { peer, _ in
      try peer.send("HTTP/1.1 200 OK\r\n\r\nhello")
      peer.reset()
    }
    try ask(upstream) { client, _ in
      try client.request()
      let response = try? client.response()
      #expect(response?.isComplete != true)
    }
  }

  @Test func `gathers interim responses and leaves pipelined ones in order`() throws {
    let upstream = try ScriptedUpstream { peer, request in
      try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
      try peer.respond(200, request.target)
    }
    try ask(upstream) { client, _ in
      try client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
      for path in ["/1", "/2"] {
        let response = try client.response()
        #expect(response.interim.map(\.status) == [103])
        #expect(response.text == path)
      }
    }
  }

  @Test func `notices that a client went away and that an upstream refuses`() throws {
    let upstream = try ScriptedUpstream { peer, _ in try peer.hang() }
    try ask(upstream) { client, upstream in
      try client.request()
      try eventually("the request came") { upstream.requests.count == 1 }
      client.reset()
      try eventually("the reset came") { upstream.cancellations == 1 }

      try upstream.goAway()
      #expect(throws: WireFailure.self) { try RawClient(port: upstream.port) }
      try upstream.comeBack()
      let next = try RawClient(port: upstream.port)
      next.close()
      try eventually("it was closed") { upstream.openConnections == 0 }
    }
  }

  @Test func `reads an exposition with labels and escapes`() throws {
    let text = "# HELP a b\na{x=\"1\",y=\"q\\\"}\"} 2\na{x=\"2\"} 3 \nb_total 1e3\n"
    let exposition = try Exposition(text.replacing(" \n", with: "\n"))

    #expect(try exposition.sum("a") == 5)
    #expect(try exposition.sum("a{x=\"1\"}") == 2)
    #expect(try exposition.sum("b_total") == 1000)
    #expect(try exposition.sum("c") == nil)
  }
}
