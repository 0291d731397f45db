import COpenSSL
import TLS
import Testing
import Units

struct HostileTests {
  private func server() throws -> Peer { Peer(TLSSession(server: try Contexts.server())) }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", TLSFault.plainHTTP), ("POST /", .plainHTTP),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .plainHTTP), ("CONNECT a:443 HTTP/1.1\r\n", .plainHTTP),
    ("\r\n\r\n", .notTLS), ("hello", .notTLS), ("A\u{0}", .notTLS), ("SSH-2.0-x", .plainHTTP),
    ("\u{16}\u{2}\u{0}", .notTLS), ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{28}", .notTLS),
    ("\u{16}\u{3}\u{1}\u{0}\u{5}\u{2}\u{0}\u{0}\u{1}\u{0}", .notTLS),
    ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", .plainHTTP),
  ])
  func `what is not TLS is told at once`(_ text: String, _ fault: TLSFault) throws {
    for piece in [1, 2, 3, 100] {
      let server = try server()
      var bytes = Array(text.unicodeScalars.map { UInt8($0.value) })[...]
      while !bytes.isEmpty, server.session.fault == nil {
        server.inbox += bytes.prefix(piece)
        bytes = bytes.dropFirst(piece)
        server.handshake(nil)
      }

      #expect(server.session.fault == fault)
      #expect(server.sent.isEmpty, "nobody would understand an alert")
      #expect(server.read(nil) == .fault(fault), "the fault stays")
    }
  }

  @Test func `a hello that announces too much is refused by its first bytes`() throws {
    for pieces in [[9], [1, 1, 1, 1, 1, 1, 1, 1, 1]] {
      let server = try server()
      let length = HelloBytes.maximum + 1
      var bytes: [UInt8] = [
        22, 3, 1, 0x40, 0, 1, UInt8(length >> 16), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF),
      ]
      for piece in pieces {
        server.inbox += bytes.prefix(piece)
        bytes.removeFirst(piece)
        server.handshake(nil)
      }
      #expect(server.session.fault == .handshakeTooLong)
    }
    // The same over records of one byte each.
    let server = try server()
    for byte in [1, 0, UInt8(0x40), 1] as [UInt8] { server.inbox += [22, 3, 1, 0, 1, byte] }
    server.handshake(nil)
    #expect(server.session.fault == .handshakeTooLong)
  }

  @Test func `a handshake takes no more bytes than the bound`() throws {
    let server = try server()
    // A hello within the bound that never ends, in records with one byte each.
    server.inbox = [22, 3, 1, 0, 4, 1, 0, 0x3F, 0xFF]
    for _ in 0..<20_000 { server.inbox += [22, 3, 1, 0, 1, 0] }
    let before = server.inbox.count

    while server.session.fault == nil, !server.inbox.isEmpty { server.handshake(nil) }

    #expect(server.session.fault == .handshakeTooLong)
    #expect(before - server.inbox.count <= 2 * HelloBytes.maximum + 8_192)
  }

  @Test func `a client that wants to negotiate again is refused`() throws {
    let client = RawClient { _ = copenssl_set_versions($0, TLS1_2_VERSION, TLS1_2_VERSION) }
    let server = try server()
    client.connect(to: server)
    #expect(server.session.isOpen)

    SSL_renegotiate(client.ssl)
    SSL_do_handshake(client.ssl)
    client.exchange(with: server)

    #expect(server.session.fault == .renegotiation)
    #expect(server.session.alerts.sent == 100)
  }

  @Test func `key updates are answered, but not without end`() throws {
    let client = RawClient()
    let server = try server()
    client.connect(to: server)

    for round in 0..<1_000 where server.session.isOpen {
      SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED)
      SSL_do_handshake(client.ssl)
      client.exchange(with: server)
      client.read()
      if round == 10 {
        client.write([1, 2, 3])
        client.exchange(with: server)
        #expect(server.received == [1, 2, 3])
        server.outgoing = [4, 5, 6]
        let before = server.sent.count
        server.write(nil)
        client.receive(Array(server.sent[before...]))
        #expect(client.read() == [4, 5, 6])
      }
      if server.session.fault != nil { #expect(round > 20) }
    }

    #expect(server.session.fault == .tooManyControlRecords)
  }

  @Test func `a flipped bit in data is told from the end of a stream`() throws {
    let (client, server) = Contexts.connected(try Contexts.server(), try Contexts.client())
    client.outgoing = pattern(100)
    client.write(server)
    server.inbox[50] ^= 1

    #expect(server.read(client) == .fault(.badRecord))
    #expect(server.session.alerts.sent == 20)
    #expect(client.read(server) == .fault(.peerAlert))
    #expect(server.read(client) == .fault(.badRecord), "the fault stays")
  }

  @Test func `data before a bad record is given first`() throws {
    let (client, server) = Contexts.connected(try Contexts.server(), try Contexts.client())
    client.outgoing = [1, 2, 3]
    client.write(server)
    client.outgoing = [4, 5, 6]
    client.write(server)
    server.inbox[server.inbox.count - 1] ^= 1

    #expect(server.read(client) == .plaintext(3))
    #expect(server.read(client) == .fault(.badRecord))
  }

  /// Turns the bytes of one direction around at random, from a fixed seed, at every stage.
  @Test func `mutated ciphertext never does harm`() throws {
    let serverContext = try Contexts.server {
      $0.clientCertificates = .optional(authorities: TestAuthority.shared.bundle)
    }
    let clients = try TLSVersion.allCases.map { version in
      try Contexts.client {
        $0.maximumVersion = version
        $0.certificate = Contexts.server
      }
    }
    let seed: UInt64 = 0x5EED_71F5
    var random = SplitMix64(seed: seed)
    var faults: [TLSFault: Int] = [:]

    for round in 0..<300 {
      let (client, server) = Contexts.pair(serverContext, clients[round % 2])
      client.outgoing = pattern(3_000)
      server.outgoing = pattern(3_000)
      let victim = round % 4 < 2 ? server : client
      var calls = Int.random(in: 0..<12, using: &random)
      for turn in 0..<60 {
        let (one, other) = turn % 2 == 0 ? (client, server) : (server, client)
        if one === victim, !one.inbox.isEmpty {
          if calls == 0 { Self.mutate(&one.inbox, &random) }
          calls -= 1
        }
        one.inputPiece = Int.random(in: 1...2_000, using: &random)
        one.read(other)
        if one.session.isOpen, !one.outgoing.isEmpty { one.write(other) }
      }
      for peer in [client, server] {
        #expect(peer.received == Array(pattern(3_000).prefix(peer.received.count)), "seed \(seed)")
        if let fault = peer.session.fault { faults[fault, default: 0] += 1 }
        #expect(peer.session.fault != .internalError, "round \(round)")
      }
    }

    #expect(faults.count > 3, "\(faults)")
  }

  private static func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    for _ in 0...Int.random(in: 0..<4, using: &random) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
      case 2: bytes.remove(at: at)
      case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
      default: bytes.replaceSubrange(at..., with: bytes[..<at])
      }
    }
  }

  @Test func `random bytes behind a record header never do harm`() throws {
    let context = try Contexts.server()
    var random = SplitMix64(seed: 77)

    for _ in 0..<2_000 {
      let server = Peer(TLSSession(server: context))
      let count = Int.random(in: 1..<300, using: &random)
      server.inbox = [22, 3, 1, UInt8(count >> 8), UInt8(count & 0xFF), 1, 0]
      for _ in 0..<count { server.inbox.append(UInt8.random(in: 0...255, using: &random)) }
      for _ in 0..<4 where server.session.fault == nil { server.handshake(nil) }
      #expect(!server.session.isOpen && server.session.fault != .internalError)
    }
  }
}

/// The bound of a ClientHello, as the documentation has it.
enum HelloBytes { static let maximum = 16_384 }
