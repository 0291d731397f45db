import Glibc
import Testing
import Units

extension WireTests {
  /// Clients that ask for much and take nothing, while blocks run short.
  @Suite(.serialized) struct ReaderReliefTests {
    private static let free = "spillway_buffer_blocks{state=\"free\"}"
    private static let used = "spillway_buffer_blocks{state=\"used\"}"
    private static let slow = "spillway_timeouts_total{kind=\"slow-reader\"}"
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
      try Scene.play(backend, upstream(), settings: settings, blocks: Int(blocks), play)
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
      while try scene.metric(free) > 0.2 * blocks, try scene.metric(slow) == 0 {
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
          return try scene.metric(Self.slow) > 0 && scene.metric(Self.free) >= 0.25 * Self.blocks
        }
        #expect(try Int(scene.metric(Self.slow)) < holders.count, "no more than it takes")
        for holder in holders { holder.close() }
        try eventually("nothing is held") { try scene.metric(Self.used) == 0 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `who takes what it asked for keeps it meanwhile`(backend: Backend) throws {
      try Self.play(backend) { scene in
        let polite = try scene.client()
        let port = try scene.edge.port("public")
        let isOver = Locked(false)
        let wasCutOff = Locked(false)
        try concurrently(1) { _ in
          do {
            let reader = try RawClient(port: port)
            defer { reader.close() }
            try reader.send(Self.large)
            while !isOver.withLock({ $0 }) {
              guard try !reader.some().isEmpty else { throw WireFailure("it ended") }
              // Leaves the machine to the others.
              usleep(1_000)
            }
          } catch {
            wasCutOff.withLock { $0 = true }
          }
        } while: {
          defer { isOver.withLock { $0 = true } }
          try eventually("the reader is served") { Self.asked(scene) == 1 }
          let holders = try Self.holders(scene, polite)
          try eventually("some of the others are ended") {
            #expect(try polite.exchange("GET", "/small").status == 200)
            return try scene.metric(Self.slow) > 0
          }
          for holder in holders { holder.close() }
        }
        #expect(!wasCutOff.withLock { $0 })
      }
    }
  }
}
