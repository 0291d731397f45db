import Foundation
import Synchronization
import TLS
import Testing
import Units

struct SharingTests {
  @Test func `threads share one context and its keys`() throws {
    let tickets = TicketKeys(at: Instant(0), rotation: .seconds(1))
    let rsa = TestAuthority.shared.issue("rsa", .rsa(bits: 2_048), alternativeNames: "DNS:r.test")
    let server = try Contexts.server([Contexts.server, rsa], tickets: tickets)
    let client = try Contexts.client { $0.names = [Contexts.host, "r.test"] }
    let opened = Atomic<Int>(0)
    let resumed = Atomic<Int>(0)
    let threads = 4
    let rounds = 30

    DispatchQueue.concurrentPerform(iterations: threads) { thread in
      let sessions = ClientSessionCache()
      for round in 0..<rounds {
        let host = round % 3 == 0 ? "r.test" : Contexts.host
        let (one, two) = Contexts.connected(server, client, host: host, sessions: sessions)
        one.outgoing = pattern(5_000)
        Peer.exchange(one, two)
        if two.received == pattern(5_000) { opened.wrappingAdd(1, ordering: .relaxed) }
        if two.session.isResumed { resumed.wrappingAdd(1, ordering: .relaxed) }
        if round % 10 == thread {
          tickets.rotateIfDue(at: Instant(0) + .seconds(Int64(thread * 100 + round)))
        }
      }
    }

    #expect(opened.load(ordering: .relaxed) == threads * rounds)
    #expect(resumed.load(ordering: .relaxed) > threads)
  }
}
