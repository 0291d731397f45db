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
    let (file, own) = service(of: name)
    let settings = try ServiceSource.parse(ConfigurationSource.text(of: file), file: file)
    let count = own ? settings.workers : workers ?? settings.workers
    let ports = try FreePort.find(6)
    let me = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
    for (place, port) in [("main", ports[0]), ("side", ports[2])] {
      let service = try ChildProcess(
        [
          me, "backend", file, "--workers", "\(count)", "--port", "\(port)", "--control-port",
          "\(place == "main" ? ports[1] : ports[3])",
        ],
        log: "\(folder)/\(place).log"
      )
      children.append(service)
      try service.waitUntilListening(on: port)
    }
    let child = try peer.start(
      in: folder,
      [
        "port": "\(ports[4])", "admin_port": "\(ports[5])", "backend_port": "\(ports[0])",
        "side_port": "\(ports[2])", "workers": "\(count)",
        "limit": "\(count + count / 10 + 2)", "bound": "\(count * 2)",
        "critical_bound": "\(count * 3)", "connections": "\(max(1_024, Descriptors.most - 512))",
      ]
    )
    children.append(child)
    try child.waitUntilListening(on: ports[4])
    var options = RunController.Options(target: try Target("http://127.0.0.1:\(ports[4])"))
    options.direct = try Target("http://127.0.0.1:\(ports[0])")
    options.backend = try Target("http://127.0.0.1:\(ports[1])")
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

  /// The settings of a scenario's service, and whether they are its own.
  private func service(of name: String) -> (file: String, isOwn: Bool) {
    let own = "\(scenarios)/\(name).service.yaml"
    return FileManager.default.fileExists(atPath: own)
      ? (own, true) : ("\(scenarios)/service.yaml", false)
  }
}
