import Glibc
import Testing
import Units

extension WireTests {
  /// Clients that ask for much and take nothing, while blocks run short.
  @Suite(.serialized) struct ReaderReliefTests {
    private static let free = "spillway_buffer_blocks{state=\"free\"}"
    private static let used = "spillway_buffer_blocks{state=\"used\"}"
    private static let ended = "spillway_timeouts_total{kind=\"held-bodies\"}"
    private static let blocks = 256.0
    private static let large = "GET /large HTTP/1.1\r\nHost: edge.test\r\n\r\n"
    private static let tunnel =
      "GET /large HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n"

    /// A service whose bodies never come to an end, but for those of other paths.
    private static func upstream() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in
        guard request.target == "/large" else { return try peer.respond(200, "small") }
        try peer.send(
          request["upgrade"] == nil
            ? "HTTP/1.1 200 OK\r\nContent-Length: \(1 << 40)\r\n\r\n"
            : "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n"
        )
        let part = [UInt8](repeating: 0x78, count: 1 << 16)
        while true { try peer.send(part) }
      }
    }

    private static func play(_ backend: Backend, _ play: (Scene) throws -> Void) throws {
      // Nothing but the shortage is to end anybody.
      var settings = EdgeSettings().withoutAdmission
      settings.listener = "limits: {bodyIdle: 600s}"
      settings.policies = "timeoutMs: 30000"
      try Scene.play(backend, upstream(), settings: settings, blocks: Int(blocks)) { scene in
        try eventually("blocks are counted") { try scene.metric(free) > 0 }
        try play(scene)
      }
    }

    private static func asked(_ scene: Scene) -> Int {
      scene.upstream.requests.count { $0.target == "/large" }
    }

    /// Clients that read nothing, until blocks are short or some of them are ended for that.
    ///
    /// `polite`: Asks for little meanwhile, since blocks are counted where something happens.
    private static func holders(
      _ scene: Scene,
      _ polite: RawClient,
      _ request: String = large
    ) throws -> [RawClient] {
      var holders: [RawClient] = []
      while try scene.metric(free) > 0.2 * blocks, try scene.metric(ended) == 0 {
        let before = Self.asked(scene)
        let holder = try scene.client(receiveBuffer: 4_096)
        try holder.send(request)
        holders.append(holder)
        try eventually("the service is asked") { Self.asked(scene) > before }
        for _ in 0..<4 { #expect(try polite.exchange("GET", "/small").status == 200) }
      }
      return holders
    }

    @Test(arguments: Backend.allCases, [false, true])
    func `while blocks are short, who holds much and takes nothing is reset`(
      backend: Backend,
      isTunnel: Bool
    ) throws {
      try Self.play(backend) { scene in
        let polite = try scene.client()
        let holders = try Self.holders(scene, polite, isTunnel ? Self.tunnel : Self.large)
        let upgrades = scene.upstream.requests.count { $0["upgrade"] != nil }
        #expect(upgrades == (isTunnel ? holders.count : 0))

        try eventually("there are blocks again") {
          #expect(try polite.exchange("GET", "/small").status == 200)
          return try scene.metric(Self.ended) > 0 && scene.metric(Self.free) >= 0.25 * Self.blocks
        }
        #expect(try Int(scene.metric(Self.ended)) < holders.count, "no more than it takes")
        for holder in holders { holder.close() }
        try eventually("nothing is held") { try scene.metric(Self.used) == 0 }
      }
    }

    /// Clients in a thread of their own that take 16 KiB of an endless response in turns.
    private final class Readers: Sendable {
      private struct State {
        var wanted = 0
        var isOver = false
        var faults: [String] = []
      }

      private let state = Locked(State())

      var faults: [String] { state.withLock { $0.faults } }
      func add() { state.withLock { $0.wanted += 1 } }
      func end() { state.withLock { $0.isOver = true } }

      func read(from port: UInt16) {
        var clients: [RawClient] = []
        do {
          while true {
            let state = state.withLock { $0 }
            if state.isOver { break }
            while clients.count < state.wanted {
              let client = try RawClient(port: port)
              clients.append(client)
              try client.send(ReaderReliefTests.large)
            }
            for client in clients {
              guard try !client.some(atMost: 16_384).isEmpty else { throw WireFailure("it ended") }
            }
            // Far above what is asked of them, and far below what would come.
            usleep(10_000)
          }
        } catch {
          state.withLock { $0.faults.append("\(error)") }
        }
        for client in clients { client.close() }
      }
    }

    @Test(arguments: Backend.allCases)
    func `who takes what it asked for keeps it, though blocks are short`(backend: Backend) throws {
      try Self.play(backend) { scene in
        let polite = try scene.client()
        let port = try scene.edge.port("public")
        var holders: [RawClient] = []
        for number in 1...8 {
          let holder = try scene.client(receiveBuffer: 4_096)
          try holder.send(Self.large)
          holders.append(holder)
          try eventually("the service is asked") { Self.asked(scene) == number }
        }
        let readers = Readers()
        try concurrently(1) { _ in
          readers.read(from: port)
        } while: {
          defer { readers.end() }
          while try scene.metric(Self.free) > 0.2 * Self.blocks, try scene.metric(Self.ended) == 0 {
            let before = Self.asked(scene)
            readers.add()
            try eventually("the service is asked") { Self.asked(scene) > before }
            for _ in 0..<4 { #expect(try polite.exchange("GET", "/small").status == 200) }
          }
          try eventually("some who take nothing are ended") {
            #expect(try polite.exchange("GET", "/small").status == 200)
            return try scene.metric(Self.ended) > 0
          }
        }
        #expect(readers.faults.isEmpty, "\(readers.faults)")
        for holder in holders { holder.close() }
      }
    }
  }
}
