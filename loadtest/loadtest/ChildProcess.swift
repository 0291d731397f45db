internal import Foundation
internal import Glibc
internal import LoadEngine

/// A process of this run's own, ended by its own id, and by the kernel where this one dies first.
final class ChildProcess {
  private let process = Process()
  private let log: String
  private let name: String

  /// Starts a program; what it says goes to a file.
  init(_ command: [String], log: String) throws {
    self.log = log
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    name = command.first ?? ""
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = ["child", "\(getpid())", "--"] + command
    let file = FileHandle(forWritingAtPath: log)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = file
    process.standardError = file
    try process.run()
  }

  /// Waits until it listens on a port.
  ///
  /// - Throws: When it ended, or half a minute has passed; with what it said.
  func waitUntilListening(on port: UInt16) throws {
    let end = Date() + 30
    while process.isRunning, Date() < end {
      if FreePort.isTaken(port) { return }
      usleep(20_000)
    }
    let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    throw EngineError("\(name) does not listen: \(text.suffix(600))")
  }

  /// Asks it to end, and makes it end after ten seconds.
  func stop() {
    guard process.isRunning else { return }
    process.terminate()
    let end = Date() + 10
    while process.isRunning, Date() < end { usleep(10_000) }
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }

  /// The first line that a command says, on either channel.
  static func firstLine(_ command: [String]) -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: command.first ?? "")
    process.arguments = Array(command.dropFirst())
    process.standardOutput = pipe
    process.standardError = pipe
    guard (try? process.run()) != nil else { return "" }
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: data, as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
  }
}
