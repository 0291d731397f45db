import HTTPCodec
import Testing
import Units

/// How sessions end that floods or faults have ended, and what ends none.
extension H2AbuseTests {
  @Test func `the frame that ends a connection is counted`() {
    let before = server.session.framesReceived

    server.receive(H2Frames.ping() + H2Frames.frame(0x2, 0, 0, [0, 0, 0, 1, 1]))

    #expect(server.session.failure == .violation(.protocolError))
    #expect(server.session.framesReceived == before + 2)
  }

  @Test func `a session that its first bytes end says SETTINGS before GOAWAY`() {
    let ends: [[UInt8]] = [
      H2Frames.frame(0x2, 0, 0, [0, 0, 0, 1, 1]),
      (0..<600).flatMap { _ in H2Frames.ping() },
      H2Frames.data(1, [1]),
    ]
    for bytes in ends {
      let server = H2Peer(isServer: true)
      server.receive(H2Frames.hello + bytes)
      let frames = H2Frame.read(server.send())
      #expect(frames.first?.kind == 0x4 && frames.first?.flags == 0)
      #expect(frames.last?.kind == 0x7)
      #expect(server.session.isFinished)
    }

    let sent = server.send()
    #expect(H2Frame.read(sent).first?.kind == 0x4)
    server.receive(ends[0])
    #expect(H2Frame.read(server.send()).map(\.kind) == [0x7], "SETTINGS are said once")
  }

  @Test func `a client that has said nothing ends without a word`() {
    let client = H2Peer(isServer: false)
    client.session.giveUp(for: .heldBodies)
    #expect(client.send().isEmpty)
    #expect(client.session.isFinished)
  }

  @Test func `a window that SETTINGS take past its range ends the connection`() {
    let large = H2Frames.settings([(4, 0x7FFF_FFFF)])
    server.receive(
      H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders)
        + H2Frames.windowUpdate(1, 0x7FFF_0000)
    )
    _ = server.send()
    // What is queued in between does not hide it.
    server.receive(H2Frames.ping() + large.prefix(11))
    _ = server.send()
    server.receive(Array(large[11...]))

    #expect(server.session.failure == .violation(.flowControlError))
    #expect(server.send().goAway == 3)
  }

  @Test func `other SETTINGS end nothing, whatever waits to be sent`() {
    for index in 0..<40 {
      server.receive(H2Frames.headers(id(index), H2Frames.get) + H2Frames.ping())
      server.receive(
        H2Frames.settings([(1, UInt32(index)), (4, index % 2 == 0 ? 0x7FFF_FFFF : 0)])
          + H2Frames.ping()
      )
      server.respond(Int32(id(index)), 200)
    }
    _ = server.send()

    #expect(server.session.failure == nil)
  }

  @Test func `who was not told of a stream is not told of its end`() {
    var settings = AbuseSettings()
    settings.fields = AbuseLimit(burst: 1, perSecond: 0)
    let server = H2Peer(isServer: true, H2Settings(abuse: settings))
    server.receive(H2Frames.hello)
    let lines = H2Frames.get + (0..<60).map { ("x-\($0)", "a") }

    // The list ends the session while its bytes are read, with the reset behind it.
    let notes = server.receive(H2Frames.headers(1, lines) + H2Frames.reset(1))

    #expect(server.session.failure == .abuse(.fieldFlood))
    #expect(notes == [])
    #expect(server.workspace.streamCount == 0)
  }
}
