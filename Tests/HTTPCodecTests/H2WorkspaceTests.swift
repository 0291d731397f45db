import HTTPCodec
import Testing
import Units

/// What sessions share, and how it is kept apart.
struct H2WorkspaceTests {
  @Test func `heads that expand past the workspace stop the reading, which goes on`() {
    let server = H2Peer(isServer: true)
    let value = [UInt8](repeating: 0x61, count: 3_900)
    let entry = H2Frames.literal(Array("x".utf8), value, prefix: 0x40)
    let get = H2Frames.block(H2Frames.get)
    var bytes = H2Frames.hello + H2Frames.frame(0x1, 0x5, 1, get + entry)
    // Three times the entry, of a byte each: 12 KiB of head for 50 bytes on the wire.
    for id in 1..<100 {
      bytes += H2Frames.frame(0x1, 0x5, UInt32(id * 2 + 1), get + [0xBE, 0xBE, 0xBE])
    }

    server.receive(bytes)

    #expect(server.requests.count == 100)
    let line = "x=" + String(decoding: value, as: UTF8.self)
    #expect(server.requests[199]?.lines == ["host=a", line, line, line])
    #expect(server.session.failure == nil)
  }

  @Test func `more requests than the workspace has places for heads stop the reading`() {
    let server = H2Peer(isServer: true, H2Settings(maximumStreams: 1_000))
    // An authority in the table, so that a request is 13 bytes.
    var bytes = H2Frames.hello
    let entry = H2Frames.literal(Array(":authority".utf8), [0x61], prefix: 0x40)
    for index in 0..<900 {
      let fields = [0x82, 0x86, 0x84] + (index == 0 ? entry : [0xBE])
      bytes += H2Frames.frame(0x1, 0x5, UInt32(index * 2 + 1), fields)
    }

    server.receive(bytes)

    #expect(server.requests.count == 900)
  }

  @Test func `a reading that stopped may go on with fewer bytes`() throws {
    let workspace = H2Workspace(streams: 100)
    // Whoever loses the frames' borders takes other bytes for frames that are not there.
    let one = AbuseLimit(burst: 1, perSecond: 0)
    var abuse = AbuseSettings()
    abuse.unknownFrames = one
    abuse.resets = one
    abuse.priorities = one
    abuse.windowUpdates = one
    abuse.settings = one
    abuse.emptyFrames = one
    let session = try #require(
      H2Session(isServer: true, settings: H2Settings(abuse: abuse), workspace: workspace)
    )
    let value = [UInt8](repeating: 0x61, count: 3_900)
    let entry = H2Frames.literal(Array("x".utf8), value, prefix: 0x40)
    let get = H2Frames.block(H2Frames.get)
    var bytes = H2Frames.hello + H2Frames.frame(0x1, 0x5, 1, get + entry)
    for id in 1..<60 {
      bytes += H2Frames.frame(0x1, 0x5, UInt32(id * 2 + 1), get + [0xBE, 0xBE, 0xBE])
    }
    bytes += H2Frames.ping()
    var requests = 0
    var most = bytes.count

    bytes.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      var offset = 0
      repeat {
        let count = min(most, bytes.count - offset)
        offset += session.receive(start + offset, count: count, at: Instant(0))
        if session.isPaused { most = 7 }
        while let event = session.nextEvent() { if event.kind == .request { requests += 1 } }
      } while offset < bytes.count || session.isPaused
    }

    #expect(requests == 60)
    #expect(most == 7)
    #expect(session.failure == nil)
  }

  @Test func `a head cut in two waits while another session receives`() throws {
    let workspace = H2Workspace(streams: 10)
    let a = try session(workspace)
    let b = try session(workspace)
    let whole = H2Frames.headers(1, H2Frames.get + [("x-a", "aaaaaaaa"), ("x-b", "b")])
    let cut = 35

    receive(a, H2Frames.hello + whole[..<cut])
    receive(b, H2Frames.hello + H2Frames.headers(1, H2Frames.get + [("y", "yyyyyyyyyyyyyyyyy")]))
    var lines: [String] = []
    receive(a, Array(whole[cut...])) { event in
      let head = workspace.request(event)
      lines = pairs(head.bytes, head.fields, Int(head.head.fieldCount))
    }

    #expect(lines == ["host=a", "x-a=aaaaaaaa", "x-b=b"])
  }

  @Test func `a session that goes away takes its events and streams along`() throws {
    let workspace = H2Workspace(streams: 10)
    do {
      let a = try session(workspace)
      let bytes = H2Frames.hello + H2Frames.headers(1, H2Frames.get)
      bytes.withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return }
        _ = a.receive(start, count: bytes.count, at: Instant(0))
      }
      #expect(workspace.streamCount == 1)
    }
    #expect(workspace.streamCount == 0)

    let b = try session(workspace)
    var count = 0
    receive(b, H2Frames.hello + H2Frames.headers(1, H2Frames.get)) { _ in count += 1 }
    #expect(count == 1)
  }

  private func session(_ workspace: H2Workspace) throws -> H2Session {
    try #require(H2Session(isServer: true, settings: H2Settings(), workspace: workspace))
  }

  /// Receives all, and shows the requests.
  private func receive(
    _ session: H2Session,
    _ bytes: [UInt8],
    _ show: (H2Event) -> Void = { _ in }
  ) {
    bytes.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      let used = session.receive(start, count: bytes.count, at: Instant(0))
      #expect(used == bytes.count)
      while let event = session.nextEvent() { if event.kind == .request { show(event) } }
    }
  }
}
