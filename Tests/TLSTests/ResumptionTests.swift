import COpenSSL
import TLS
import Testing
import Units

struct ResumptionTests {
  /// Connects twice with one memory of sessions; says whether the second resumed.
  private func resumes(
    _ first: TLSServerContext,
    _ second: TLSServerContext,
    _ client: TLSClientContext,
    between: () -> Void = {}
  ) -> Bool {
    let sessions = ClientSessionCache()
    let before = Contexts.connected(first, client, sessions: sessions)
    #expect(before.server.session.isOpen && !before.server.session.isResumed)
    between()
    let after = Contexts.connected(second, client, sessions: sessions)
    #expect(after.server.session.isOpen, "\(after.server.last)")
    #expect(after.server.session.isResumed == after.client.session.isResumed)
    return after.server.session.isResumed
  }

  @Test(arguments: TLSVersion.allCases)
  func `contexts that share keys resume each other's sessions`(_ version: TLSVersion) throws {
    let client = try Contexts.client { $0.maximumVersion = version }
    let tickets = Contexts.tickets()
    let one = try Contexts.server(tickets: tickets)
    let two = try Contexts.server(tickets: tickets)
    let stranger = try Contexts.server()

    #expect(resumes(one, one, client))
    #expect(resumes(one, two, client))
    #expect(!resumes(one, stranger, client))
  }

  @Test(arguments: TLSVersion.allCases)
  func `a session outlives one rotation and not two`(_ version: TLSVersion) throws {
    let client = try Contexts.client { $0.maximumVersion = version }
    func resumes(rotations: Int) throws -> Bool {
      let tickets = TicketKeys(at: Instant(0), rotation: .seconds(10))
      let server = try Contexts.server(tickets: tickets)
      return self.resumes(server, server, client) {
        for count in 0..<rotations {
          #expect(!tickets.rotateIfDue(at: Instant(0) + .seconds(Int64(count) * 10 + 9)))
          #expect(tickets.rotateIfDue(at: Instant(0) + .seconds(Int64(count) * 10 + 10)))
        }
      }
    }

    #expect(try resumes(rotations: 0))
    #expect(try resumes(rotations: 1))
    #expect(try !resumes(rotations: 2))
  }

  @Test func `a session of an old key is given a ticket of the new one`() throws {
    let client = try Contexts.client { $0.maximumVersion = .tls12 }
    let tickets = TicketKeys(at: Instant(0), rotation: .seconds(10))
    let server = try Contexts.server(tickets: tickets)
    let sessions = ClientSessionCache()

    for count in 0..<4 {
      let pair = Contexts.connected(server, client, sessions: sessions)
      #expect(pair.server.session.isResumed == (count > 0))
      tickets.rotateIfDue(at: Instant(0) + .seconds(Int64(count + 1) * 10))
    }
  }

  @Test func `keys that come from outside are used`() throws {
    let key = try #require(TicketKey(bytes: pattern(TicketKey.byteCount)))
    let client = try Contexts.client()
    let here = TicketKeys(keys: [key], at: Instant(0))
    let there = Contexts.tickets()
    there.replace(with: [key], at: Instant(0))

    let one = try Contexts.server(tickets: here)
    let two = try Contexts.server(tickets: there)

    #expect(resumes(one, two, client))
    #expect(TicketKey(bytes: [1, 2, 3]) == nil)
  }

  @Test func `a client resumes again and again`() throws {
    let client = try Contexts.client()
    let server = try Contexts.server()
    let sessions = ClientSessionCache()

    for count in 0..<5 {
      let pair = Contexts.connected(server, client, sessions: sessions)
      #expect(pair.client.session.isResumed == (count > 0))
    }
  }

  @Test func `a session is resumed only for what was verified`() throws {
    let server = try Contexts.server()
    let sessions = ClientSessionCache()
    let careless = try Contexts.client { $0.verification = .insecure }
    let careful = try Contexts.client()

    _ = Contexts.connected(server, careless, sessions: sessions)
    let otherContext = Contexts.connected(server, careful, sessions: sessions)
    let otherHost = Contexts.connected(server, careful, host: "x.example.org", sessions: sessions)
    let same = Contexts.connected(server, careful, sessions: sessions)

    #expect(otherContext.client.session.isOpen && !otherContext.client.session.isResumed)
    #expect(otherHost.client.session.fault == .nameMismatch)
    #expect(same.client.session.isResumed)
  }

  @Test func `no more sessions are kept than the bound`() throws {
    let server = try Contexts.server()
    let client = try Contexts.client()
    let sessions = ClientSessionCache(capacity: 3)

    for endpoint in 0..<8 {
      let peer = Peer(
        TLSSession(client: client, host: Contexts.host, sessions: sessions, endpoint: endpoint)
      )
      Peer.connect(peer, Peer(TLSSession(server: server)))
    }

    #expect(sessions.count == 3)
  }

  @Test func `early data is not taken`() throws {
    let server = try Contexts.server()
    let first = RawClient()
    let peer = Peer(TLSSession(server: server))
    first.connect(to: peer)
    first.read()
    let ticket = SSL_get1_session(first.ssl)
    defer { SSL_SESSION_free(ticket) }

    #expect(SSL_SESSION_get_max_early_data(ticket) == 0)
    // A client that lies to itself about what the ticket allows sends early data all the same.
    SSL_SESSION_set_max_early_data(ticket, 16_384)
    let second = RawClient(session: ticket)
    let other = Peer(TLSSession(server: server))
    var written = 0
    #expect(SSL_write_early_data(second.ssl, "early", 5, &written) == 1)
    second.connect(to: other)

    #expect(other.session.isOpen && other.session.isResumed)
    #expect(other.received.isEmpty)
    #expect(SSL_get_early_data_status(second.ssl) == SSL_EARLY_DATA_REJECTED)
  }
}
