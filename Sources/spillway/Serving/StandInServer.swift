internal import CLinux
internal import Edge
internal import Glibc
internal import Logging
internal import Synchronization
internal import Units

/// Answers each connection with the process id, until the real server takes its place.
///
/// Reads `address:`, `workers:`, `delayMs:` and `stateDirectory:` from lines of the file.
final class StandInServer: Sendable {
  private let path: String
  private let sockets: InheritedSockets
  private let logger: Logger
  private let settings: Mutex<[String: String]>
  private let taken = Mutex<[ListeningSocket]>([])
  private let isDraining = Atomic<Bool>(false)
  private let busy = Atomic<Int>(0)
  private let workers = Atomic<Int>(0)
  private let heartbeat = WorkerHeartbeat(worker: 0)

  private init(
    path: String,
    sockets: InheritedSockets,
    logger: Logger,
    _ settings: [String: String]
  ) {
    self.path = path
    self.sockets = sockets
    self.logger = logger
    self.settings = Mutex(settings)
  }

  static func make(
    path: String,
    sockets: InheritedSockets,
    logger: Logger
  ) throws(StartFault) -> ServerHandle {
    let settings: [String: String]
    switch load(path) {
    case .success(let value): settings = value
    case .failure(let fault): throw fault
    }
    let server = StandInServer(path: path, sockets: sockets, logger: logger, settings)
    do {
      try server.bind(settings)
    } catch {
      throw StartFault(code: ExitCode.cannotStart, lines: [error.description])
    }
    return ServerHandle(
      start: { server.start() },
      reload: { server.reload() },
      beginDrain: { server.isDraining.store(true, ordering: .relaxed) },
      waitUntilDrained: { server.waitUntilDrained() },
      stop: {},
      reopenLogs: {},
      listeningSockets: { server.sockets.taken },
      heartbeats: { [server.heartbeat] },
      recordStall: { _ in },
      drainLimit: .seconds(20),
      watchedFiles: [path],
      stateDirectory: settings["stateDirectory"] ?? ""
    )
  }

  private static func load(_ path: String) -> Result<[String: String], StartFault> {
    guard let text = FileText.read(path) else {
      return .failure(
        StartFault(code: ExitCode.badConfiguration, lines: ["\(path): cannot be read"])
      )
    }
    var settings: [String: String] = [:]
    var faults: [String] = []
    for (at, line) in text.split(separator: "\n").enumerated() {
      let parts = line.split(separator: ":", maxSplits: 1)
      let known = ["address", "workers", "delayMs", "stateDirectory"]
      if parts.count == 2, known.contains(String(parts[0])) {
        settings[String(parts[0])] = String(parts[1].drop { $0 == " " })
      } else {
        faults.append("\(path):\(at + 1):1: unknown field \(line)")
      }
    }
    if settings["address"] == nil { faults.append("\(path):1:1: address is missing") }
    return faults.isEmpty
      ? .success(settings) : .failure(StartFault(code: ExitCode.badConfiguration, lines: faults))
  }

  private func bind(_ settings: [String: String]) throws(ListenError) {
    let count = settings["workers"].flatMap { Int($0) } ?? 1
    for worker in 0..<count {
      for address in (settings["address"] ?? "").split(separator: " ") {
        if sockets.taken.contains(where: { $0.key == address && $0.worker == worker }) { continue }
        let socket = try sockets.obtain(String(address), name: "main", worker: worker)
        taken.withLock { $0.append(socket) }
      }
    }
  }

  private func start() {
    let list = taken.withLock { list in
      defer { list = [] }
      return list
    }
    for socket in list {
      workers.add(1, ordering: .relaxed)
      DetachedThread.start(name: "worker") { self.accept(socket) }
    }
  }

  private func reload() -> Bool {
    switch Self.load(path) {
    case .failure(let fault):
      for line in fault.lines { logger.error("\(line)") }
      return false
    case .success(let new):
      do {
        try bind(new)
      } catch {
        logger.error("\(error)")
        return false
      }
      settings.withLock { $0 = new }
      start()
      return true
    }
  }

  private func accept(_ socket: ListeningSocket) {
    while true {
      _ = Poller.wait([socket.descriptor], until: Poller.now + .milliseconds(20))
      let connection = clinux_accept(socket.descriptor)
      if connection >= 0 {
        answer(Int32(connection))
      } else if isDraining.load(ordering: .relaxed) {
        break
      }
    }
    sockets.release(socket)
    workers.subtract(1, ordering: .relaxed)
  }

  private func answer(_ connection: Int32) {
    busy.add(1, ordering: .relaxed)
    let delay = settings.withLock { $0["delayMs"].flatMap { Int64($0) } } ?? 0
    DetachedThread.start(name: "answer") { [self] in
      _ = Poller.wait([connection], until: Poller.now + .seconds(5))
      var request = [UInt8](repeating: 0, count: 4_096)
      _ = recv(connection, &request, request.count, 0)
      usleep(UInt32(delay * 1_000))
      let body = "\(getpid())\n"
      let text =
        "HTTP/1.1 200 OK\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n\(body)"
      let bytes = Array(text.utf8)
      _ = clinux_send(connection, bytes, bytes.count)
      close(connection)
      busy.subtract(1, ordering: .relaxed)
    }
  }

  private func waitUntilDrained() -> Bool {
    let deadline = Poller.now + .seconds(20)
    while workers.load(ordering: .relaxed) > 0 || busy.load(ordering: .relaxed) > 0 {
      if Poller.now > deadline { return false }
      usleep(5_000)
    }
    return true
  }
}
