internal import ArgumentParser
internal import Glibc
internal import LoadEngine

/// Becomes another program that is ended when the process that started it ends, however it does.
///
/// What Foundation starts cannot be told so beforehand: only a process itself can ask the kernel.
struct ChildCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "child", shouldDisplay: false)

  @Argument(help: "The process that started this one.")
  var parent: Int32

  @Argument(help: "The program and its arguments.")
  var command: [String]

  func run() throws {
    do {
      try OwnEnd.followParent(parent)
    } catch {
      Console.fail("\(error)\n")
    }
    var arguments = command.map { strdup($0) }
    arguments.append(nil)
    execv(command[0], arguments)
    Console.fail("\(command[0]): \(String(cString: strerror(errno)))\n")
  }
}
