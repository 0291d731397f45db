import Foundation

/// A real etcd of one member on ports of its own, with its data in a folder that goes with it.
final class EtcdServer {
  /// Whether there is one to start; where all tests must run, a missing one is to fail them.
  static let isInstalled =
    FileManager.default.isExecutableFile(atPath: program)
    || ProcessInfo.processInfo.environment["CI"] != nil
  private static let program =
    (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
    .map { "\($0)/etcd" }
    .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "/usr/bin/etcd"

  let port: UInt16
  private let peerPort: UInt16
  private let folder: String
  private var process: Process?

  init() throws {
    // Below those that the kernel gives to whoever asks for any: they stay free while it is away.
    (port, peerPort) = (try Socket.deadPort(), try Socket.deadPort())
    folder = "/tmp/spillway-etcd-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try start()
  }

  deinit {
    stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  var endpoint: String { "127.0.0.1:\(port)" }

  /// Starts it, again with what it knew, and waits until it answers.
  func start() throws {
    let (client, peer) = ("http://127.0.0.1:\(port)", "http://127.0.0.1:\(peerPort)")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.program)
    process.arguments = [
      "--data-dir", folder, "--unsafe-no-fsync", "--logger", "zap", "--log-level", "error",
      "--listen-client-urls", client, "--advertise-client-urls", client,
      "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
      "--initial-cluster", "default=\(peer)",
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    self.process = process
    try eventually("etcd answers", within: .seconds(60)) {
      guard process.isRunning else { throw WireFailure("etcd did not start") }
      return (try? call("/v3/kv/range", "{\"key\":\"AA==\"}")) != nil
    }
  }

  func stop() {
    process?.terminate()
    process?.waitUntilExit()
    process = nil
  }

  func put(_ key: String, _ value: String) throws {
    try call("/v3/kv/put", "{\"key\":\"\(Self.base64(key))\",\"value\":\"\(Self.base64(value))\"}")
  }

  func delete(_ key: String) throws {
    try call("/v3/kv/deleterange", "{\"key\":\"\(Self.base64(key))\"}")
  }

  @discardableResult
  private func call(_ path: String, _ body: String) throws -> String {
    let client = try RawClient(port: port)
    defer { client.close() }
    try client.post(path, body, "Connection: close")
    let answer = try client.response(to: "POST")
    guard answer.status == 200 else { throw WireFailure("etcd says \(answer.text)") }
    return answer.text
  }

  private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
}
