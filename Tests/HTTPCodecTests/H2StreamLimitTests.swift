import HTTPCodec
import Testing

/// The number of streams that a server allows, changed while it serves (RFC 9113 section 6.5.3).
struct H2StreamLimitTests {
  private let server = H2Peer(isServer: true, H2Settings(maximumStreams: 3))
  private let client = H2Peer(isServer: false)

  init() { exchange(server, client) }

  @Test func `the peer is told, and says so`() {
    #expect(client.session.peerMaximumStreams == 3 && server.session.isAcknowledged)

    server.session.allowStreams(1)
    #expect(!server.session.isAcknowledged)
    exchange(server, client)

    #expect(client.session.peerMaximumStreams == 1 && server.session.isAcknowledged)
    server.session.allowStreams(5)
    exchange(server, client)
    #expect(client.session.peerMaximumStreams == 5)
  }

  @Test func `streams that are open go on, and a new one waits for its place`() {
    let first = client.request()
    let second = client.request()
    exchange(server, client)
    server.session.allowStreams(1)
    exchange(server, client)
    #expect(client.request() == -1)

    server.respond(first, 204)
    exchange(server, client)
    #expect(client.request() == -1)
    server.respond(second, 204)
    exchange(server, client)
    let third = client.request()
    exchange(server, client)

    #expect(server.requests[third] != nil)
    #expect(server.session.failure == nil && client.session.failure == nil)
  }

  @Test func `a stream that crossed the smaller number is refused, and the session goes on`() {
    let first = client.request()
    exchange(server, client)
    server.session.allowStreams(1)
    let told = server.send()
    // Begun before the client has heard of it.
    let crossing = client.request()
    server.receive(client.send())
    client.receive(told)
    exchange(server, client)

    #expect(server.requests[crossing] == nil)
    #expect(
      client.notes.contains(.closed(crossing, 7, isReceived: false, isSent: true))
        || client.notes.contains(.closed(crossing, 7, isReceived: false, isSent: false))
    )
    server.respond(first, 204)
    exchange(server, client)
    let next = client.request()
    exchange(server, client)
    #expect(server.requests[next] != nil)
    #expect(server.session.failure == nil && client.session.failure == nil)
  }

  @Test func `a client has no such number to give`() {
    client.session.allowStreams(1)

    #expect(client.session.failure == nil && client.session.isAcknowledged)
  }
}
