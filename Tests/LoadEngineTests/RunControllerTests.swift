import Foundation
import LoadEngine
import LoadKit
import Reactor
import Testing
import Units

/// Whole runs: capacity, load, the service's own counters, judgement.
struct RunControllerTests {
  private func run(
    _ service: RunningBackend,
    _ backend: Reactor.Backend,
    _ scenario: String,
    options change: (inout RunController.Options) throws -> Void = { _ in },
    seen: (RunController.Progress) -> Void = { _ in }
  ) throws -> RunReport {
    let scenario = try ScenarioSource.parse(scenario, file: "scenario.yaml")
    var options = RunController.Options(target: try Target("http://127.0.0.1:\(service.port)"))
    options.backends = [try Target("http://127.0.0.1:\(service.controlPort)")]
    options.reactor = backend
    try change(&options)
    return try RunController(scenario, options).run(progress: seen)
  }

  @Test(arguments: Reactor.Backend.allowed, ["http1", "h2"])
  func `a calm run agrees with the service to the request and meets what is expected`(
    backend: Reactor.Backend,
    spoken: String
  ) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }

    let report = try run(
      service,
      backend,
      """
      capacity: 1000/s
      protocol: \(spoken)
      maximumLag: 1s
      unloaded: {load: 0.05x, for: 200ms}
      phases: [{name: calm, load: 0.2x, for: 500ms}, {name: more, load: 300/s, for: 500ms}]
      kinds:
        - {name: pay, class: critical, method: POST, body: 100B, deadline: 30s}
        - {name: browse, class: normal, deadline: 30s}
      expect: [success >= 100 %, critical.success in calm >= 100 %, offered >= 1/s]
      """
    )

    #expect(report.phases.map(\.name) == ["unloaded", "calm", "more"])
    let offered = report.phases.reduce(0) { $0 + $1.all.offered }
    #expect(report.backend["received"] == Double(offered))
    #expect(report.backend["served"] == Double(report.phases.reduce(0) { $0 + $1.all.good }))
    let unmet = report.expectations.filter { !$0.isMet }
    #expect(unmet.isEmpty)
    #expect(report.capacity == 1_000)
    #expect(report.capacitySource == "stated by the scenario")
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `capacity is measured where it is said to be, and not at the target`(
    backend: Reactor.Backend
  ) throws {
    let service = try RunningBackend(backend) {
      $0.workers = 4
      $0.serviceTime = .constant(.milliseconds(10))
    }
    defer { service.stop() }
    let refusing = try RunningBackend(backend) {
      $0.workers = 1
      $0.serviceTime = .constant(.seconds(20))
      $0.backlog = 0
    }
    defer { refusing.stop() }
    var measuring = 0

    let report = try run(
      refusing,
      backend,
      """
      capacity: {concurrency: 8, for: 500ms}
      phases: [{load: 0.5x, for: 200ms}]
      kinds: [{deadline: 500ms}]
      expect: [success >= 50 %]
      """,
      options: { $0.direct = try Target("http://127.0.0.1:\(service.port)") },
      seen: { progress in
        measuring += progress.capacity == 0 ? 1 : 0
        // Its account is not the run's, which a display must be able to tell.
        #expect(progress.capacity > 0 || progress.elapsed < .zero)
      }
    )

    // 400/s where nothing disturbs it; a busy machine serves less, never more.
    #expect(report.capacity > 0 && report.capacity <= 420)
    #expect(report.capacitySource.contains(":\(service.port) with 8 callers"))
    #expect(measuring > 0)
    #expect(!report.isPassed)
    #expect(report.expectations.map(\.isMet) == [false])
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `phases change the service, and a wish that it refuses voids the run`(
    backend: Reactor.Backend
  ) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }
    func scenario(_ wish: String) -> String {
      """
      capacity: 100/s
      maximumLag: 1s
      phases: [{load: 20/s, for: 300ms}, {load: 20/s, for: 300ms, backend: "\(wish)"}]
      kinds: [{deadline: 30s}]
      """
    }

    let obeyed = try run(service, backend, scenario("/brownout?to=50%"))
    #expect(service.waits(for: "workers", toBe: 20))
    let refused = try run(service, backend, scenario("/brownout?to=lots"))

    #expect(!obeyed.problems.contains { $0.contains("/brownout") }, "\(obeyed.problems)")
    #expect(refused.problems.contains { $0.contains("/brownout?to=lots") }, "\(refused.problems)")
    #expect(throws: EngineError.self) {
      try run(service, backend, scenario("/kill")) { $0.backends = [] }
    }
    // It has not begun.
    #expect(service.stat("alive") == 1)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `several services are counted together, and one is given an order`(
    backend: Reactor.Backend
  ) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }
    let other = try RunningBackend(backend)
    defer { other.stop() }
    _ = RawSocket.request("GET /", port: other.port)
    func text(_ place: Int) -> String {
      """
      capacity: 100/s
      maximumLag: 1s
      phases: [{load: 20/s, for: 300ms, backend: {\(place): /brownout?to=50%}}]
      kinds: [{deadline: 30s}]
      expect: [backend.received <= 100 % of offered, backend.workers >= 1]
      """
    }
    func both(_ options: inout RunController.Options) throws {
      options.backends.append(try Target("http://127.0.0.1:\(other.controlPort)"))
    }

    let report = try run(service, backend, text(2), options: both)

    #expect(other.waits(for: "workers", toBe: 20))
    #expect(service.stat("workers") == 40)
    // What the other one had received before is none of this run's.
    #expect(report.backend["received"] == Double(report.phases[0].all.offered))
    let unmet = report.expectations.filter { !$0.isMet }
    #expect(unmet.isEmpty)
    #expect(throws: EngineError.self) { try run(service, backend, text(3), options: both) }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a run that is stopped ends at once and says so`(backend: Reactor.Backend) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }
    let scenario = try ScenarioSource.parse(
      "capacity: 100/s\nphases: [{load: 50/s, for: 1h}]\nkinds: [{path: /}]\n",
      file: "scenario.yaml"
    )
    var options = RunController.Options(target: try Target("http://127.0.0.1:\(service.port)"))
    options.reactor = backend
    let controller = RunController(scenario, options)

    let report = try controller.run { if $0.elapsed > .milliseconds(100) { controller.stop() } }

    #expect(report.problems.contains { $0.contains("stopped") }, "\(report.problems)")
    #expect(!report.isPassed)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `what cannot begin says why`(backend: Reactor.Backend) throws {
    let service = try RunningBackend(backend) {
      $0.faults.error = 1
      $0.workers = 1
    }
    defer { service.stop() }
    let measured =
      "capacity: {concurrency: 1, for: 100ms}\nphases: [{load: 1x, for: 1s}]\nkinds: [{path: /}]\n"

    #expect(throws: EngineError.self) { try run(service, backend, measured) }
    #expect(throws: EngineError.self) {
      try run(
        service,
        backend,
        "capacity: 1/s\nphases: [{load: 1x, for: 1s}]\nkinds: [{path: /}]\n"
      ) {
        // The service's own port is no control API.
        $0.backends = [try Target("http://127.0.0.1:\(service.port)")]
      }
    }
  }
}
