import HTTPCodec
import Testing

/// Frames that break the rules of RFC 9113 sections 3 to 6 and RFC 7541, each named after the rule.
struct H2FrameTests {
  private let server = H2Peer(isServer: true)

  /// What GOAWAY says after the bytes, or `nil` when the connection goes on.
  private func goAway(_ bytes: [UInt8]) -> UInt32? {
    server.receive(H2Frames.hello)
    _ = server.send()
    server.receive(bytes)
    return server.send().goAway
  }

  private let get = H2Frames.headers(1, H2Frames.get)
  private let open = H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders)

  @Test(arguments: ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"])
  func `what does not begin with the preface is not HTTP/2 (3.4)`(_ text: String) {
    server.receive(Array(text.utf8))

    #expect(server.session.failure == .notHTTP2)
    _ = server.send()
    #expect(server.session.isFinished)
  }

  @Test func `the preface may come byte by byte, and SETTINGS must follow (3.4)`() {
    server.pieces = 1
    server.receive(H2Frames.preface)
    #expect(server.session.failure == nil)
    server.receive(H2Frames.ping())
    #expect(server.send().goAway == 1)
    #expect(server.session.isFinished)
  }

  @Test func `a frame of unknown type is passed over (4.1)`() {
    #expect(goAway(H2Frames.frame(0x16, 0xFF, 0, [1, 2, 3]) + H2Frames.ping()) == nil)
    #expect(server.session.failure == nil)
  }

  @Test func `a frame over 16,384 bytes is an error (4.2)`() {
    #expect(goAway(open + H2Frames.data(1, [UInt8](repeating: 0, count: 16_385))) == 6)
  }

  @Test func `a header block that cannot be decoded is an error (4.3)`() {
    #expect(goAway(H2Frames.frame(0x1, 0x5, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])) == 9)
  }

  @Test func `an index past the table is an error (RFC 7541 section 2.3.3)`() {
    #expect(goAway(H2Frames.frame(0x1, 0x5, 1, [0xFE])) == 9)
  }

  @Test func `a table size past SETTINGS is an error (RFC 7541 section 6.3)`() {
    let update = H2Frames.integer(4_097, 5, 0x20)
    #expect(goAway(H2Frames.frame(0x1, 0x5, 1, update + H2Frames.block(H2Frames.get))) == 9)
  }

  @Test func `a table size behind the first field is an error (RFC 7541 section 4.2)`() {
    let block = H2Frames.block(H2Frames.get) + H2Frames.integer(1, 5, 0x20)
    #expect(goAway(H2Frames.frame(0x1, 0x5, 1, block)) == 9)
  }

  @Test func `a Huffman code with EOS is an error (RFC 7541 section 5.2)`() {
    let block = H2Frames.block(H2Frames.get) + [0x00, 0x01, 0x61, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]
    #expect(goAway(H2Frames.frame(0x1, 0x5, 1, block)) == 9)
  }

  @Test func `another frame inside a header block is an error (4.3)`() {
    let begun = H2Frames.headers(1, H2Frames.get, flags: H2Frames.endStream)
    #expect(goAway(begun + H2Frames.ping()) == 1)
  }

  @Test func `CONTINUATION of another stream is an error (6.10)`() {
    let begun = H2Frames.headers(1, H2Frames.get, flags: H2Frames.endStream)
    #expect(goAway(begun + H2Frames.continuation(3, [], flags: H2Frames.endHeaders)) == 1)
  }

  @Test func `CONTINUATION without HEADERS is an error (6.10)`() {
    #expect(goAway(H2Frames.continuation(1, [], flags: H2Frames.endHeaders)) == 1)
  }

  @Test func `HEADERS on a stream of even number is an error (5.1.1)`() {
    #expect(goAway(H2Frames.headers(2, H2Frames.get)) == 1)
  }

  @Test func `HEADERS on a half-closed stream is an error (5.1)`() {
    #expect(goAway(get + H2Frames.headers(1, H2Frames.get)) == 5)
  }

  @Test(arguments: [0x0, 0x3, 0x8] as [UInt8])
  func `a frame on an idle stream is an error (5.1)`(_ kind: UInt8) {
    #expect(goAway(H2Frames.frame(kind, 0, 9, [0, 0, 0, 1])) == 1)
  }

  @Test func `DATA on a half-closed stream is an error (5.1)`() {
    #expect(goAway(get + H2Frames.data(1, [1])) == 5)
  }

  @Test func `streams past the bound are refused (5.1.2)`() {
    let server = H2Peer(isServer: true, H2Settings(maximumStreams: 1))
    server.receive(H2Frames.hello + get + H2Frames.headers(3, H2Frames.get))
    #expect(server.send().resets == [3: 7])
    #expect(server.requests.keys.sorted() == [1])
  }

  @Test func `streams past those of the workspace are refused`() {
    let server = H2Peer(isServer: true, streams: 1)
    server.receive(H2Frames.hello + get + H2Frames.headers(3, H2Frames.get))
    #expect(server.send().resets == [3: 7])
    server.respond(1, 200)
    _ = server.send()
    server.receive(H2Frames.headers(5, H2Frames.get))
    #expect(server.requests.keys.sorted() == [1, 5])
  }

  @Test func `HEADERS that depend on themselves are an error (RFC 7540 section 5.3.1)`() {
    let block = H2Frames.word(1) + [0] + H2Frames.block(H2Frames.get)
    let frame = H2Frames.frame(0x1, 0x5 | H2Frames.priorityFlag, 1, block)
    #expect(goAway(frame) == 1)
  }

  @Test func `padding past the frame is an error (6.1, 6.2)`() {
    #expect(goAway(open + H2Frames.data(1, [5, 1, 2], flags: H2Frames.padded)) == 1)
  }

  @Test func `padding is taken off, and its window given back (6.1)`() {
    let padded = [UInt8](repeating: 0, count: 200)
    server.receive(H2Frames.hello + open)
    for _ in 0..<1_000 {
      server.receive(H2Frames.data(1, [200, 0x61] + padded, flags: H2Frames.padded))
      #expect(server.send().goAway == nil)
    }
    #expect(server.bodies[1]?.count == 1_000)
  }

  @Test func `more DATA than the window is an error (6.9.1)`() {
    server.consumes = false
    server.receive(H2Frames.hello + H2Frames.settings(flags: H2Frames.acknowledgement))
    let piece = [UInt8](repeating: 0, count: 16_384)
    server.receive(open)
    for _ in 0..<5 { server.receive(H2Frames.data(1, piece)) }
    #expect(server.send().resets == [1: 3])
    #expect(server.bodies[1]?.count == 65_536)
  }

  @Test func `a zero increment is an error (6.9)`() {
    #expect(goAway(H2Frames.windowUpdate(0, 0)) == 1)
  }

  @Test func `a connection window past its range is an error (6.9.1)`() {
    #expect(goAway(H2Frames.windowUpdate(0, 0x7FFF_FFFF)) == 3)
  }

  @Test func `a stream window past its range resets the stream (6.9.1)`() {
    server.receive(H2Frames.hello + open + H2Frames.windowUpdate(1, 0x7FFF_FFFF))
    #expect(server.send().resets == [1: 3])
  }

  @Test func `a window may become negative by SETTINGS (6.9.2)`() {
    server.receive(H2Frames.hello + get)
    server.respond(1, 200, [], ends: false)
    offer(server, 1, "hello", .more)
    server.receive(H2Frames.settings([(4, 0)]))
    #expect(!H2Frame.read(server.send()).contains { $0.kind == 0 })
    server.receive(H2Frames.settings([(4, 1)]))
    let data = H2Frame.read(server.send()).filter { $0.kind == 0 }
    #expect(data.map(\.payload) == [Array("h".utf8)])
  }

  @Test(
    arguments: [
      (2, 2, 1), (4, 0x8000_0000, 3), (5, 16_383, 1), (5, 0x100_0000, 1), (8, 2, 1),
    ] as [(UInt16, UInt32, UInt32)]
  )
  func `SETTINGS out of range are an error (6.5.2)`(_ item: (UInt16, UInt32, UInt32)) {
    #expect(goAway(H2Frames.settings([(item.0, item.1)])) == item.2)
  }

  @Test func `unknown SETTINGS are passed over (6.5.2)`() {
    #expect(goAway(H2Frames.settings([(0xFF, 1), (3, 0)])) == nil)
    #expect(server.session.failure == nil)
  }

  @Test func `SETTINGS that nobody sent are not acknowledged (6.5)`() {
    let ack = H2Frames.settings(flags: H2Frames.acknowledgement)
    #expect(goAway(ack + ack) == 1)
  }

  @Test func `PUSH_PROMISE from a client is an error (6.6)`() {
    #expect(goAway(get + H2Frames.frame(0x5, 0x4, 1, H2Frames.word(2))) == 1)
  }

  @Test func `frames after the end are passed over at no cost`() {
    #expect(goAway(H2Frames.windowUpdate(0, 0)) == 1)
    server.receive(H2Frames.headers(1, H2Frames.get))
    #expect(server.requests.isEmpty)
    #expect(server.send().isEmpty)
  }

  @Test func `frames on a stream that we reset are passed over, and its window given back (5.4.2)`()
  {
    server.receive(H2Frames.hello + open)
    server.session.reset(stream(server, 1), .cancel)
    _ = server.send()
    for _ in 0..<100 {
      server.receive(H2Frames.data(1, [UInt8](repeating: 0, count: 16_384)))
      #expect(server.send().goAway == nil)
    }
    #expect(server.bodies[1] == nil)
    #expect(server.session.failure == nil)
  }

  @Test func `PRIORITY_UPDATE changes which response is sent first (RFC 9218 section 7.1)`() {
    let update = H2Frames.frame(0x10, 0, 0, H2Frames.word(3) + Array("u=0".utf8))
    server.receive(H2Frames.hello + get + H2Frames.headers(3, H2Frames.get) + update)
    let body = [UInt8](repeating: 0, count: 20_000)
    let order = body.withUnsafeBufferPointer { buffer in
      for id in [1, 3] as [Int32] {
        server.respond(id, 200, [], ends: false)
        server.session.offer(stream(server, id), buffer.baseAddress, count: 20_000, .last)
      }
      return H2Frame.read(server.send()).filter { $0.kind == 0 }.map(\.stream)
    }
    #expect(order == [3, 3, 1, 1])
  }

  @Test(
    arguments: [
      ("u=5", 5, false), ("i", 3, true), ("u=0, i", 0, true), ("u=8", 3, false), ("u=-1", 3, false),
      ("i=?0", 3, false), ("i=?1;a=b", 3, true), ("u=1;x, i=?1", 1, true), ("", 3, false),
      ("ui, u", 3, false), ("u=12", 3, false), (" , ,u=2 ,", 2, false), ("U=1", 3, false),
      ("u=2,u=4", 4, false), ("x=(a b), u=6", 6, false),
    ] as [(String, UInt8, Bool)]
  )
  func `a priority is read leniently (RFC 9218 section 4)`(_ item: (String, UInt8, Bool)) {
    let text = Array(item.0.utf8) + [0]
    let found = text.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.map { H2Priority(parsing: $0, count: text.count - 1) }
    }
    #expect(found == H2Priority(urgency: item.1, isIncremental: item.2))
  }
}
