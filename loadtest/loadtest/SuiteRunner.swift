internal import Configuration
internal import Foundation
internal import Glibc
internal import LoadEngine
internal import LoadKit
internal import Reactor
internal import Units

/// One scenario after another, each with processes of its own.
final class SuiteRunner: @unchecked Sendable {
  // Safe to share: other threads reach `stop` and `isStopped`, which use a lock.

  private let scenarios: String
  private let output: String
  private let workers: Int?
  private let reactor: Reactor.Backend
  private let isShown: Bool
  private let running = Locked<(controller: RunController?, isStopped: Bool)>((nil, false))

  init(
    scenarios: String,
    output: String,
    workers: Int?,
    reactor: Reactor.Backend,
    isShown: Bool
  ) {
    self.scenarios = scenarios
    self.output = output
    self.workers = workers
    self.reactor = reactor
    self.isShown = isShown
  }

  /// Ends the run soon, and begins no other; from any thread.
  func stop() {
    let controller = running.withLock { state in
      state.isStopped = true
      return state.controller
    }
    controller?.stop()
  }

  var isStopped: Bool { running.withLock { $0.isStopped } }

  /// Starts services and the peer, runs, and ends them whatever came of it.
  func run(_ name: String, _ peer: Peer) -> SuiteReport.Entry {
    var children: [ChildProcess] = []
    defer { for child in children.reversed() { child.stop() } }
    do {
      let scenario = try ScenarioSource.load("\(scenarios)/\(name).yaml")
      let report = try run(scenario, name, peer, &children)
      return entry(name, peer, report)
    } catch {
      let text = (error as? ConfigurationError).map { FaultReport($0, isColoured: false).text }
      return entry(name, peer, nil, trouble: text ?? "\(error)")
    }
  }

  private func entry(
    _ name: String,
    _ peer: Peer,
    _ report: RunReport?,
    trouble: String = ""
  ) -> SuiteReport.Entry {
    SuiteReport.Entry(
      peer: peer.name,
      version: peer.version,
      scenario: name,
      report: report,
      trouble: trouble
    )
  }

  private func run(
    _ scenario: Scenario,
    _ name: String,
    _ peer: Peer,
    _ children: inout [ChildProcess]
  ) throws -> RunReport {
    // Absolute: peers take their folder from it.
    let folder = URL(fileURLWithPath: "\(output)/\(name)-\(peer.name)").path
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let services = try startServices(for: scenario, name, in: folder, &children)
    let ports = try FreePort.find(2)
    let child = try peer.start(
      in: folder,
      template: ownTemplate(of: name, peer),
      services.values.merging([
        "port": "\(ports[0])", "admin_port": "\(ports[1])",
        "service_protocol": scenario.isGRPC ? "h2c" : "http1",
      ]) { $1 }
    )
    children.append(child)
    try child.waitUntilListening(on: ports[0])
    var options = RunController.Options(target: try Target("http://127.0.0.1:\(ports[0])"))
    options.direct = services.direct
    options.backends = services.controls
    options.reactor = reactor
    let controller = RunController(scenario, options)
    let isStopped = running.withLock { state in
      state.controller = controller
      return state.isStopped
    }
    if isStopped { controller.stop() }
    let table = LiveTable(scenario, isShown: isShown)
    let report = try controller.run { table.show($0) }
    table.finish()
    return report
  }

  // MARK: - Services

  /// The services of a run, as the peer and the run have to know them.
  private struct Services {
    /// The first endpoint, where capacity is measured.
    var direct: Target
    /// Of the main service's endpoints, in order.
    var controls: [Target]
    /// For templates.
    var values: [String: String]
  }

  private func startServices(
    for scenario: Scenario,
    _ name: String,
    in folder: String,
    _ children: inout [ChildProcess]
  ) throws -> Services {
    let (file, isOwn) = service(of: name)
    let settings = try ServiceSource.parse(ConfigurationSource.text(of: file), file: file)
    if settings.endpoints > 1, case .measured = scenario.capacity {
      throw EngineError("\(name) has \(settings.endpoints) endpoints, so it has to state capacity")
    }
    let count = isOwn ? settings.workers : workers ?? settings.workers
    let ports = try FreePort.find(2 * settings.endpoints + 2)
    let me = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
    // The last one is the neighbour.
    let main = (0..<settings.endpoints).map { (service: ports[2 * $0], control: ports[2 * $0 + 1]) }
    let side = (service: ports[2 * settings.endpoints], control: ports[2 * settings.endpoints + 1])
    for (place, port) in (main + [side]).enumerated() {
      let service = try ChildProcess(
        [
          me, "backend", file, "--workers", "\(count)", "--port", "\(port.service)",
          "--control-port", "\(port.control)",
        ],
        log: "\(folder)/\(place < main.count ? "main-\(place + 1)" : "side").log"
      )
      children.append(service)
      try service.waitUntilListening(on: port.service)
    }
    return Services(
      direct: try Target("http://127.0.0.1:\(main[0].service)"),
      controls: try main.map { try Target("http://127.0.0.1:\($0.control)") },
      values: [
        "backend_port": "\(main[0].service)", "side_port": "\(side.service)",
        "endpoints": main.map { "127.0.0.1:\($0.service)" }.joined(separator: ", "),
        "workers": "\(count)", "limit": "\(count + count / 10 + 2)", "bound": "\(count * 2)",
        "critical_bound": "\(count * 3)", "connections": "\(max(1_024, Descriptors.most - 512))",
      ]
    )
  }

  /// The settings of a scenario's service, and whether they are its own.
  private func service(of name: String) -> (file: String, isOwn: Bool) {
    let own = "\(scenarios)/\(name).service.yaml"
    return FileManager.default.fileExists(atPath: own)
      ? (own, true) : ("\(scenarios)/service.yaml", false)
  }

  /// A template that a scenario has of its own for a peer.
  private func ownTemplate(of name: String, _ peer: Peer) -> String? {
    let file = "\(scenarios)/\(name).\(peer.name).in"
    return FileManager.default.fileExists(atPath: file) ? file : nil
  }

  /// Why a scenario cannot be run with a peer, `nil` where it can.
  ///
  /// One with a template of its own needs one for each peer: it is about what settings do.
  func obstacle(_ name: String, _ peer: Peer) -> String? {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: scenarios)) ?? []
    let hasTemplates = files.contains { $0.hasPrefix(name + ".") && $0.hasSuffix(".in") }
    if hasTemplates, ownTemplate(of: name, peer) == nil {
      return "\(name) before \(peer.name): there is no \(name).\(peer.name).in"
    }
    guard let scenario = try? ScenarioSource.load("\(scenarios)/\(name).yaml") else { return nil }
    let spoken = scenario.isGRPC ? "grpc" : scenario.wireProtocol == .http1 ? "http1" : "h2"
    guard !peer.speaks(spoken) else { return nil }
    return "\(name) before \(peer.name): its template speaks no \(spoken)"
  }
}
