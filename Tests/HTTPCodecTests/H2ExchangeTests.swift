import HTTPCodec
import Testing

/// A client session against a server session, in memory.
struct H2ExchangeTests {
  private let client = H2Peer(isServer: false)
  private let server = H2Peer(isServer: true)

  @Test func `a request without body arrives laid out as HTTP/1.1`() {
    let id = client.request("GET", "/a/b?c=d", [("accept", "*/*"), ("x-empty", "")])

    exchange(client, server)

    #expect(
      server.notes.contains(
        .request(id, ["host=example.org", "accept=*/*", "x-empty="], isLast: true)
      )
    )
    let head = server.requests[id]
    #expect(
      head?.text
        == "GET /a/b?c=d HTTP/1.1\r\nhost: example.org\r\naccept: */*\r\nx-empty: \r\n\r\n"
    )
    #expect(head?.path == "/a/b")
    #expect(head?.query == "c=d")
    #expect(head?.authority == "example.org")
    #expect(head?.head.method == .get)
    #expect(head?.scheme == .http)
  }

  @Test func `a response with a body and its end arrives, and both sides close`() {
    let id = client.request()
    exchange(client, server)

    server.respond(id, 200, [("content-length", "5"), ("server", "x")], ends: false)
    offer(server, id, "hello", .last)
    exchange(client, server)

    #expect(client.notes.contains(.settings))
    #expect(
      client.notes.contains(.response(id, 200, ["content-length=5", "server=x"], isLast: false))
    )
    #expect(client.notes.contains(.data(id, "hello", isLast: true)))
    let closed = H2Note.closed(id, 0, isReceived: true, isSent: true)
    #expect(client.notes.last == closed)
    #expect(server.notes.last == closed)
    #expect(client.session.openStreams == 0)
    #expect(server.workspace.streamCount == 0)
  }

  @Test func `a body, interim responses and trailers pass in both directions`() {
    let id = client.request("POST", "/", [("te", "trailers")], ends: false)
    exchange(client, server)
    #expect(server.requests[id]?.head.isChunked == true)
    #expect(server.requests[id]?.head.acceptsTrailers == true)

    inform(server, id, 103)
    exchange(client, server)
    offer(client, id, "ping", .beforeTrailers)
    exchange(client, server)
    #expect(client.session.awaitsTrailers(stream(client, id)))
    #expect(client.trailers(id, [("x-sum", "1")]))
    exchange(client, server)
    server.respond(id, 200, [], ends: false)
    offer(server, id, "pong", .beforeTrailers)
    exchange(client, server)
    #expect(server.trailers(id, [("grpc-status", "0")]))
    exchange(client, server)

    #expect(client.notes.contains(.interim(id, 103)))
    #expect(server.notes.contains(.data(id, "ping", isLast: false)))
    #expect(server.notes.contains(.trailers(id, ["x-sum=1"])))
    #expect(client.notes.contains(.data(id, "pong", isLast: false)))
    #expect(client.notes.contains(.trailers(id, ["grpc-status=0"])))
    #expect(client.notes.last == .closed(id, 0, isReceived: true, isSent: true))
  }

  @Test func `trailers without body bytes need no DATA frame`() {
    let id = client.request()
    exchange(client, server)

    server.respond(id, 200, [], ends: false)
    offer(server, id, "", .beforeTrailers)
    _ = server.send()
    #expect(server.trailers(id, [("grpc-status", "7")]))
    let frames = H2Frame.read(server.send())

    #expect(frames.map(\.kind) == [0x1])
  }

  @Test func `a trailers-only response is a head that is the last`() {
    let id = client.request("POST", "/", [], ends: false)
    exchange(client, server)

    server.respond(id, 200, [("grpc-status", "12")])
    exchange(client, server)

    #expect(client.notes.contains(.response(id, 200, ["grpc-status=12"], isLast: true)))
  }

  @Test func `a window closes when nobody consumes, and opens as bytes are`() {
    server.consumes = false
    let id = client.request("POST", "/", [], ends: false)
    let body = [UInt8](repeating: 0x61, count: 200_000)

    body.withUnsafeBufferPointer { buffer in
      client.session.offer(stream(client, id), buffer.baseAddress, count: body.count, .last)
      exchange(client, server)
      #expect(server.bodies[id]?.count == 65_536)
      #expect(client.session.takeSent(stream(client, id)) == 65_536)

      server.session.consume(stream(server, id), 65_536)
      exchange(client, server)
      #expect(server.bodies[id]?.count == 131_072)

      server.consumes = true
      server.session.consume(stream(server, id), 65_536)
      exchange(client, server)
    }

    #expect(server.bodies[id] == body)
  }

  @Test func `bytes of a stream that ends unconsumed go back to the connection`() {
    server.consumes = false
    let body = [UInt8](repeating: 0x61, count: 65_536)

    for _ in 0..<32 {
      let id = client.request("POST", "/", [], ends: false)
      body.withUnsafeBufferPointer { buffer in
        client.session.offer(stream(client, id), buffer.baseAddress, count: body.count, .more)
        exchange(client, server)
      }
      #expect(server.bodies[id]?.count == 65_536)
      client.session.reset(stream(client, id), .cancel)
      exchange(client, server)
      #expect(server.notes.last == .closed(id, 8, isReceived: false, isSent: false))
    }
  }

  @Test func `a frame is made to fit the block`() {
    let id = client.request()
    exchange(client, server)
    server.respond(id, 200, [], ends: false)
    let body = [UInt8](repeating: 0x62, count: 40_000)

    body.withUnsafeBufferPointer { buffer in
      server.session.offer(stream(server, id), buffer.baseAddress, count: body.count, .last)
      client.receive(server.send(block: 1_000))
      exchange(client, server)
    }

    #expect(client.bodies[id] == body)
  }

  @Test func `heads that are cut anywhere arrive whole`() {
    server.pieces = 1
    client.pieces = 1
    let id = client.request("GET", "/path", [("accept", "text/html"), ("x-long", longValue)])
    exchange(client, server)
    server.respond(id, 204, [("x-long", longValue)])
    exchange(client, server)

    #expect(
      server.notes.contains(
        .request(
          id,
          ["host=example.org", "accept=text/html", "x-long=" + longValue],
          isLast: true
        )
      )
    )
    #expect(client.notes.contains(.response(id, 204, ["x-long=" + longValue], isLast: true)))
  }

  @Test func `PING is answered and the answer is told`() {
    exchange(client, server)

    server.session.ping(0x0102_0304_0506_0708)
    exchange(client, server)

    #expect(server.notes.last == .pong(0x0102_0304_0506_0708))
  }

  @Test func `a stream may be refused, and the client knows it was not processed`() {
    let id = client.request()
    exchange(client, server)

    server.session.reset(stream(server, id), .refusedStream)
    exchange(client, server)

    #expect(client.notes.last == .closed(id, 7, isReceived: false, isSent: true))
  }

  @Test func `GOAWAY in two steps ends the session when the last stream has`() {
    let first = client.request()
    exchange(client, server)

    server.session.announceShutdown()
    exchange(client, server)
    #expect(client.notes.last == .goAway(.max, 0))
    #expect(!client.session.canRequest)
    server.session.shutDown()
    exchange(client, server)
    #expect(client.notes.last == .goAway(first, 0))
    #expect(!server.session.isFinished)
    server.respond(first, 200)
    exchange(client, server)

    #expect(server.session.isFinished)
    #expect(client.session.isFinished)
    #expect(server.session.failure == nil)
  }

  @Test func `a request that was reset before it was sent is closed as unprocessed`() {
    let id = client.request("POST", ends: false)
    client.session.reset(stream(client, id), .cancel)

    _ = client.send()

    #expect(client.notes.last == .closed(id, 8, isReceived: false, isSent: false))
    #expect(client.isUnprocessed == [true])
    #expect(client.session.openStreams == 0)
    #expect(client.session.failure == nil)
  }

  @Test func `a request that GOAWAY overtakes is closed as unprocessed`() {
    exchange(client, server)
    _ = client.request("POST")
    server.session.shutDown()
    client.receive(server.send())

    _ = client.send()

    #expect(client.isUnprocessed == [true])
    #expect(client.session.openStreams == 0)
    #expect(client.session.failure == nil)
  }

  @Test func `streams behind the last of GOAWAY are closed as unprocessed`() {
    exchange(client, server)
    let id = client.request()

    client.receive(H2Frames.frame(0x7, 0, 0, H2Frames.word(0) + H2Frames.word(0)))
    _ = client.send()

    #expect(client.notes.contains(.closed(id, 7, isReceived: false, isSent: false)))
  }

  @Test func `the server's bound on streams holds a client back`() {
    let server = H2Peer(isServer: true, H2Settings(maximumStreams: 2))
    exchange(client, server)

    let ids = (0..<3).map { _ in client.request() }

    #expect(client.session.peerMaximumStreams == 2)
    #expect(ids == [1, 3, -1])
    #expect(!client.session.canRequest)
  }

  @Test func `the answer to HEAD has a length and no body`() {
    let id = client.request("HEAD")
    exchange(client, server)

    server.respond(id, 200, [("content-length", "1234")])
    exchange(client, server)

    #expect(client.notes.contains(.response(id, 200, ["content-length=1234"], isLast: true)))
  }

  @Test func `many streams share the line`() {
    let ids = (0..<100).map { _ in client.request() }
    exchange(client, server)
    for id in ids { server.respond(id, 200, [], ends: false) }
    let body = [UInt8](repeating: 0x63, count: 30_000)

    body.withUnsafeBufferPointer { buffer in
      for id in ids {
        server.session.offer(stream(server, id), buffer.baseAddress, count: body.count, .last)
      }
      exchange(client, server)
    }

    #expect(ids.allSatisfy { client.bodies[$0] == body })
    #expect(server.workspace.streamCount == 0)
    #expect(client.workspace.streamCount == 0)
  }

  @Test func `an urgent response overtakes`() {
    let slow = client.request("GET", "/", [("priority", "u=7")])
    let fast = client.request("GET", "/", [("priority", "u=0, i")])
    exchange(client, server)
    #expect(server.requests[fast]?.priority == H2Priority(urgency: 0, isIncremental: true))
    for id in [slow, fast] { server.respond(id, 200, [], ends: false) }
    let body = [UInt8](repeating: 0x63, count: 20_000)

    let order = body.withUnsafeBufferPointer { buffer in
      for id in [slow, fast] {
        server.session.offer(stream(server, id), buffer.baseAddress, count: body.count, .last)
      }
      return H2Frame.read(server.send()).filter { $0.kind == 0 }.map(\.stream)
    }

    #expect(order.first == UInt32(fast))
    #expect(order.last == UInt32(slow))
  }

  private let longValue = String(repeating: "v", count: 3_000)
}

func stream(_ peer: H2Peer, _ id: Int32) -> Int32 {
  guard let stream = peer.indices[id] else { fatalError("no stream \(id)") }
  return stream
}

/// Offers static text and never takes it back.
func offer(_ peer: H2Peer, _ id: Int32, _ text: StaticString, _ place: H2Session.Offer) {
  peer.session.offer(stream(peer, id), text.utf8Start, count: text.utf8CodeUnitCount, place)
}

func inform(_ peer: H2Peer, _ id: Int32, _ status: Int) {
  _ = H2Lines([]).with(peer.workspace) {
    peer.session.inform(stream(peer, id), status: status, fields: $0)
  }
}
