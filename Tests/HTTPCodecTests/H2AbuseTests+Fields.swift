import HTTPCodec
import Testing
import Units

/// Fields that are decoded for nothing, of which nghttp2 tells or does not.
extension H2AbuseTests {
  /// `count` references to a field; 0xBE is the one that came into the table last.
  fileprivate func references(_ count: Int, to field: UInt8 = 0xBE) -> [UInt8] {
    [UInt8](repeating: field, count: count)
  }

  fileprivate func entry(_ name: String, _ count: Int) -> [UInt8] {
    H2Frames.literal(Array(name.utf8), [UInt8](repeating: 0x61, count: count), prefix: 0x40)
  }

  @Test func `references behind a malformed field`() {
    let result = flood(together: 1) { index in
      let section = H2Frames.block(H2Frames.get) + entry("connection", 1) + references(8_000)
      return H2Frames.frame(0x1, 0x5, id(index), section)
    }
    expect(.fieldFlood, within: 1, result)
  }

  @Test func `a malformed request is reset as before when its section is whole`() {
    let lines = H2Frames.get + [("connection", "x"), ("x-a", "b"), ("te", "gzip")]
    let block = H2Frames.block(lines)
    server.receive(H2Frames.frame(0x1, 0x1, 1, Array(block.prefix(60))))
    #expect(server.send().resets.isEmpty)

    let notes = server.receive(H2Frames.continuation(1, Array(block[60...]), flags: 4))

    #expect(notes == [.malformed(.connectionSpecificField)])
    #expect(server.send().resets == [1: 1])
    #expect(server.session.failure == nil)
  }

  @Test func `sections on a stream that was reset`() {
    server.receive(H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders))
    server.session.reset(stream(server, 1), .cancel)
    #expect(server.send().resets == [1: 8])

    let result = flood(together: 1) { _ in H2Frames.frame(0x1, 0x4, 1, references(16_000, to: 0x82))
    }

    expect(.fieldFlood, within: 10, result)
  }

  @Test func `short sections on a stream that was reset`() {
    server.receive(H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders))
    server.session.reset(stream(server, 1), .cancel)
    _ = server.send()

    let result = flood { _ in H2Frames.frame(0x1, 0x4, 1, [0x82]) }

    expect(.fieldFlood, within: 10_010, result)
  }

  @Test func `CONTINUATION on a stream that was reset`() {
    server.receive(H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders))
    server.session.reset(stream(server, 1), .cancel)
    _ = server.send()

    let result = flood(together: 1) { _ in
      let more = H2Frames.continuation(1, references(16_000, to: 0x82))
      return H2Frames.frame(0x1, 0, 1) + more + more + H2Frames.continuation(1, [], flags: 4)
    }

    expect(.fieldFlood, within: 5, result)
  }

  @Test func `sections on a stream that was answered long ago`() {
    for index in 0..<40 {
      server.receive(H2Frames.headers(id(index), H2Frames.get))
      server.respond(Int32(id(index)), 200)
      _ = server.send()
    }

    let result = flood(together: 1) { _ in H2Frames.frame(0x1, 0x4, 1, references(16_000, to: 0x82))
    }

    expect(.fieldFlood, within: 10, result)
  }

  @Test func `long sections on streams past the bound`() {
    for index in 0..<100 {
      server.receive(H2Frames.headers(id(index), H2Frames.post, flags: H2Frames.endHeaders))
    }
    let more = H2Frames.block([("x-a", String(repeating: "a", count: 16_000))])

    let result = flood(together: 1) { index in
      let stream = id(100 + index)
      var bytes = H2Frames.headers(stream, H2Frames.get, flags: H2Frames.endStream)
      for number in 1...8 {
        bytes += H2Frames.continuation(stream, more, flags: number == 8 ? 4 : 0)
      }
      return bytes
    }

    expect(.fieldFlood, within: 4, result)
  }

  @Test func `sections for which the workspace has no place`() {
    let server = H2Peer(isServer: true, streams: 1)
    server.receive(H2Frames.hello + H2Frames.headers(1, H2Frames.post, flags: 4))
    for index in 1..<100 {
      let lines = H2Frames.get + (0..<30).map { ("x-\($0)", "a") }
      server.receive(H2Frames.headers(id(index), lines))
    }
    #expect(server.send().resets.count == 99)
    #expect(server.session.failure == nil, "usual requests are refused for no more than a reset")

    let section = H2Frames.block(H2Frames.get) + entry("x", 1) + references(8_000)
    server.receive(H2Frames.frame(0x1, 0x5, id(100), section))

    #expect(server.session.failure == .abuse(.fieldFlood))
  }

  @Test func `what is referred to past the bound weighs by its size`() {
    let section = H2Frames.block(H2Frames.get) + entry("x", 4_000)
    server.receive(H2Frames.frame(0x1, 0x5, 1, section))

    server.receive(H2Frames.frame(0x1, 0x5, 3, H2Frames.block(H2Frames.get) + references(100)))

    #expect(server.session.failure == .abuse(.fieldFlood))
  }

  @Test(arguments: [300, 600])
  func `fields past the bound weigh more from the hundredth on`(_ count: Int) {
    let section = H2Frames.block(H2Frames.get) + entry("x", 1) + references(count)

    server.receive(H2Frames.frame(0x1, 0x5, 1, section))

    #expect(server.session.failure == (count == 300 ? nil : .abuse(.fieldFlood)))
  }

  @Test func `large heads within their bounds cost nothing`() {
    var settings = AbuseSettings()
    settings.fields = AbuseLimit(burst: 1, perSecond: 0)
    let server = H2Peer(isServer: true, H2Settings(abuse: settings))
    server.receive(H2Frames.hello)
    let long = H2Frames.get + [("cookie", String(repeating: "a", count: 16_000))]
    let many = H2Frames.block(H2Frames.get) + entry("x", 400) + references(34)
    for index in 0..<20 {
      let block = H2Frames.block(long)
      server.receive(
        H2Frames.frame(0x1, 0x1, id(2 * index), Array(block.prefix(9_000)))
          + H2Frames.continuation(id(2 * index), Array(block[9_000...]), flags: 4)
          + H2Frames.frame(0x1, 0x5, id(2 * index + 1), many)
      )
    }

    #expect(server.requests.count == 40)
    #expect(server.session.failure == nil)
  }

  @Test func `trailers stay cheap`() {
    let trailers = [("x-checksum", "0123456789abcdef"), ("x-b", "c"), ("x-time", "12.5")]
    for index in 0..<3_000 {
      server.receive(
        H2Frames.headers(id(index), H2Frames.post, flags: H2Frames.endHeaders)
          + H2Frames.data(id(index), [UInt8](repeating: 0x61, count: 20))
          + H2Frames.headers(id(index), trailers)
      )
      server.respond(Int32(id(index)), 200)
      _ = server.send()
    }
    #expect(server.session.failure == nil)

    // Nobody is answered, and no time passes.
    let slow = H2Peer(isServer: true, H2Settings(maximumStreams: 1_000))
    slow.receive(H2Frames.hello)
    for index in 0..<900 {
      slow.receive(
        H2Frames.headers(id(index), H2Frames.post, flags: H2Frames.endHeaders)
          + H2Frames.headers(id(index), trailers)
      )
    }
    #expect(slow.session.failure == nil)
  }
}
