import Foundation
import Testing
import Units

extension WireTests {
  /// What limits have learned outlives configurations and edges.
  @Suite(.serialized) struct AdmissionLearnedTests {
    /// What the edge says of the service that it has learned.
    private struct Learned: Equatable {
      var baseline = 0.0
      var latency = 0.0

      init(_ scene: Scene) throws {
        let service = try AdmissionScene.explanation(scene)
        baseline = service["baselineMs"] as? Double ?? 0
        latency = service["latencyMs"] as? Double ?? 0
      }
    }

    /// Has the edge learn an unloaded latency.
    private static func learn(_ scene: Scene) throws -> Learned {
      let client = try scene.client()
      try eventually("an unloaded latency is known") {
        for _ in 0..<20 { _ = try client.exchange() }
        return try Learned(scene).baseline > 0
      }
      return try settled("what is learned") { try Learned(scene) }
    }

    @Test(arguments: Backend.allCases)
    func `a reload keeps what was learned, with other bounds as well`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let before = try Self.learn(scene)

        try scene.reload { $0.policies = "timeoutMs: 20000" }
        var now = try Learned(scene)
        #expect(now == before)
        try scene.reload { $0.service = "admission: {limit: {maximum: 30}, openStreams: 9}" }
        now = try Learned(scene)
        #expect(now == before)
        try scene.reload { $0.service = "admission: {limit: vegas}" }
        #expect(try Learned(scene).baseline == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the next edge begins with what this one had learned`(backend: Backend) throws {
      let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("spillway-state-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      var settings = EdgeSettings()
      settings.root = [
        "stateDirectory: \"\(folder.path)\"", "drain: {grace: 50ms, deadline: 5s}",
      ]
      var before: Learned?
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        before = try Self.learn(scene)
        scene.edge.drain()
      }

      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let now = try Learned(scene)
        #expect(now == before)
        #expect(try scene.metric("spillway_learned_state_services{source=\"file\"}") == 1)
        #expect(try scene.metric("spillway_learned_state_ignored_total") == 0)
        #expect(try scene.client().exchange().status == 200)
      }
      settings.service = "admission: {limit: gradient2}"
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let metrics = try scene.metrics()
        let ignored = "spillway_learned_state_ignored_total{reason=\"other-limit\"}"
        #expect(try metrics.sum("spillway_learned_state_services") == 0)
        #expect(try metrics.sum(ignored) == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a disk that hangs delays neither the drain nor what is in flight`(
      backend: Backend
    ) throws {
      let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("spillway-state-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      // Who opens this to write waits for somebody who reads.
      let pipe = folder.appendingPathComponent("learned.\(getpid()).new").path
      #expect(mkfifo(pipe, 0o600) == 0)
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/held")
      var settings = EdgeSettings()
      settings.root = [
        "stateDirectory: \"\(folder.path)\"", "drain: {grace: 50ms, deadline: 60s}",
      ]
      // A drain that waits for the disk is let go when the test has failed.
      let isOver = Locked(false)
      let wasWaitedFor = Locked(false)
      let reader = Thread {
        let end = Deadline(after: .seconds(30))
        while !isOver.withLock({ $0 }), !end.hasPassed { usleep(10_000) }
        wasWaitedFor.withLock { $0 = end.hasPassed }
        let descriptor = open(pipe, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        usleep(100_000)
        close(descriptor)
      }
      defer { isOver.withLock { $0 = true } }
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        _ = try Self.learn(scene)
        reader.start()
        let client = try scene.client()
        try client.request("GET", "/held")
        try eventually("it runs") { upstream.requests.contains { $0.target == "/held" } }
        scene.edge.drain()
        try eventually("readiness fails") { try scene.admin("/readyz").status == 503 }
        gate.open()
        #expect(try client.response().text == "/held")
        try eventually("it has drained", within: .seconds(60)) { scene.edge.hasDrained }
        isOver.withLock { $0 = true }
        try eventually("the reader has ended") { reader.isFinished }
        #expect(!wasWaitedFor.withLock { $0 })
      }
    }
  }
}
