internal import ArgumentParser
internal import Edge
internal import Glibc
internal import Units

/// Asks a running parent to start the program anew and drain the old child.
struct UpgradeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade",
    abstract: "Replace a running spillway without refusing a connection.",
    discussion: "Waits until the new process serves and says so, or says why it does not."
  )

  @Option(help: "The process id of the running parent.")
  var pid: Int32?

  @Option(help: "A file that holds it, as spillway.pid in the state directory.")
  var pidFile: String?

  func validate() throws {
    guard (pid == nil) != (pidFile == nil) else {
      throw ValidationError("give --pid or --pid-file")
    }
  }

  func run() throws {
    let processID = try target()
    guard let channel = ControlSocket.connect(processID: processID) else {
      throw failure("no spillway parent answers under process id \(processID)")
    }
    guard channel.send(ControlSocket.upgrade) else { throw failure("it went away") }
    _ = Poller.wait([channel.descriptor], until: .never)
    guard case .message(let answer, _) = channel.receive() else { throw failure("it went away") }
    guard answer.hasPrefix(ControlSocket.done) else {
      throw failure(String(answer.dropFirst(ControlSocket.failed.count + 1)))
    }
    say("upgraded:\(answer.dropFirst(ControlSocket.done.count))", to: 1)
  }

  private func target() throws -> Int32 {
    if let pid { return pid }
    let path = pidFile ?? ""
    guard let text = FileText.read(path) else { throw failure("cannot read \(path)") }
    guard let number = Int32(text.filter { $0.isASCII && $0.isNumber }) else {
      throw failure("\(path) holds no process id")
    }
    return number
  }

  private func failure(_ reason: String) -> any Error {
    say("upgrade failed: \(reason)", to: 2)
    return ArgumentParser.ExitCode(1)
  }

  private func say(_ text: String, to descriptor: Int32) {
    let bytes = Array((text + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
  }
}
