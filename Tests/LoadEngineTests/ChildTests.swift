import Foundation
import Glibc
import Testing

/// The built harness, as a suite starts others through it.
struct ChildTests {
  private static let program = BuiltProgram.path("loadtest")

  private func start(_ command: [String], _ input: Pipe, _ output: Pipe) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  @Test func `a child ends with the harness that started it, however that one ends`() throws {
    try #require(FileManager.default.isExecutableFile(atPath: Self.program))
    let (input, output) = (Pipe(), Pipe())
    // A shell stands for the harness, and waits for what nobody sends.
    let script = "\"$0\" child $$ -- /bin/sh -c 'echo ready; exec sleep 600' & echo $!; read line"
    let shell = try start(["/bin/sh", "-c", script, Self.program], input, output)
    var said = ""
    while said.split(separator: "\n").count < 2 {
      let part = output.fileHandleForReading.availableData
      guard !part.isEmpty else { break }
      said += String(decoding: part, as: UTF8.self)
    }
    let numbers = said.split(separator: "\n").compactMap { Int32($0) }
    let child = try #require(numbers.first, "\(said)")
    defer { kill(child, SIGKILL) }
    #expect(said.contains("ready"))

    kill(shell.processIdentifier, SIGKILL)
    shell.waitUntilExit()

    // Whoever adopts it may not have looked at it yet: ended is ended.
    for _ in 0..<6_000 where isRunning(child) { usleep(10_000) }
    #expect(!isRunning(child))
  }

  private func isRunning(_ process: Int32) -> Bool {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return false }
    return !text[end...].hasPrefix(") Z")
  }

  @Test func `a child whose harness has ended already does not begin`() throws {
    let (input, output) = (Pipe(), Pipe())
    let child = try start([Self.program, "child", "1", "--", "/bin/echo", "ready"], input, output)

    child.waitUntilExit()

    #expect(child.terminationStatus == 2)
    #expect(output.fileHandleForReading.availableData.isEmpty)
  }
}
