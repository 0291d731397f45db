import TLS
import Testing

struct EndTests {
  private func pair(_ version: TLSVersion) throws -> (client: Peer, server: Peer) {
    Contexts.connected(try Contexts.server(), try Contexts.client { $0.maximumVersion = version })
  }

  @Test(arguments: TLSVersion.allCases)
  func `an end is told to the other side, which may go on`(_ version: TLSVersion) throws {
    let (client, server) = try pair(version)
    client.outgoing = Array("last".utf8)
    client.write(server)

    #expect(client.end(server) == .closed)
    #expect(client.end(server) == .closed, "a second time nothing happens")
    #expect(server.read(client) == .plaintext(4))
    #expect(server.read(client) == .closed)
    #expect(server.session.peerEnded)
    server.outgoing = Array("answer".utf8)
    server.write(client)
    #expect(server.end(client) == .closed)
    #expect(client.read(server) == .plaintext(6))
    #expect(client.read(server) == .closed)
    server.session.endInput()
    #expect(server.read(client) == .closed, "the end of the transport is no news after the peer's")
  }

  @Test(arguments: TLSVersion.allCases)
  func `an end without close_notify is a truncation`(_ version: TLSVersion) throws {
    let (client, server) = try pair(version)
    client.outgoing = pattern(100)
    client.write(server)
    server.inbox.removeLast()

    server.session.endInput()

    #expect(server.read(client) == .fault(.truncated))
    let (other, whole) = try pair(version)
    other.outgoing = pattern(100)
    other.write(whole)
    whole.session.endInput()
    #expect(whole.read(other) == .plaintext(100), "what came before the end is given first")
    #expect(whole.read(other) == .fault(.truncated))
  }

  @Test func `the transport may end in the handshake`() throws {
    let (client, server) = Contexts.pair(try Contexts.server(), try Contexts.client())
    client.handshake(server)
    server.inbox.removeLast()

    server.handshake(client)
    server.session.endInput()

    #expect(server.handshake(client) == .fault(.truncated))
    #expect(server.end(client) == .closed, "there is nothing to end")
  }

  @Test func `an end that finds no room is written later`() throws {
    let (client, server) = try pair(.tls13)
    var room = [UInt8](repeating: 0, count: 64)
    var ciphertext: [UInt8] = []
    for size in [0, 5, 10, 64] {
      let (step, produced) = room.withUnsafeMutableBufferPointer { output in
        var window = CiphertextWindow(
          input: nil,
          inputCount: 0,
          output: output.baseAddress,
          outputRoom: size
        )
        return (client.session.end(&window), window.produced)
      }
      ciphertext += room[..<produced]
      #expect(step == (size == 64 ? .closed : .needsOutput))
    }

    server.inbox = ciphertext

    #expect(server.read(client) == .closed)
  }

  @Test func `reading with little room keeps the rest of a record`() throws {
    let (client, server) = try pair(.tls13)
    client.outgoing = pattern(1_000)
    client.write(server)
    server.plaintextRoom = 300

    var steps: [TLSStep] = []
    for _ in 0..<4 {
      steps.append(server.read(client))
      #expect(server.session.hasUnread == (server.received.count < 1_000))
      #expect(server.inbox.isEmpty)
    }

    #expect(steps == [.plaintext(300), .plaintext(300), .plaintext(300), .plaintext(100)])
    #expect(server.received == pattern(1_000))
    #expect(server.read(client) == .needsInput)
  }

  @Test func `writing takes what has room`() throws {
    let (client, server) = try pair(.tls13)
    client.outgoing = pattern(100_000)
    for (room, least, most) in [(64, 30, 64), (16_384, 16_340, 16_384), (1_000, 960, 1_000)] {
      client.outputRoom = room
      let step = client.write(server)
      guard case .plaintext(let count) = step else {
        Issue.record("\(step)")
        continue
      }
      #expect((least...most).contains(count), "room \(room) took \(count)")
    }
    while server.read(client).isPlaintext {}

    #expect(server.received == Array(pattern(100_000).prefix(server.received.count)))
    #expect(server.received.count + client.outgoing.count == 100_000)
  }
}
