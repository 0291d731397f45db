internal import ArgumentParser
internal import Configuration
internal import Glibc

/// Judges a configuration file without serving it.
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check a configuration file and report every fault at once."
  )

  @Argument(help: "The configuration file, YAML or JSON.")
  var file: String

  @Flag(help: "Print all settings with their defaults.")
  var effective = false

  func run() throws {
    do {
      let loaded = try ConfigurationSource.load(file)
      if effective {
        print(loaded.settings.effectiveYAML(), terminator: "")
      } else {
        let settings = loaded.settings
        print(
          "\(file): valid; \(settings.listeners.count) listeners, "
            + "\(settings.services.count) services, \(settings.routes.count) routes, "
            + loaded.checksum
        )
      }
    } catch {
      FaultReport.print(error)
      throw ArgumentParser.ExitCode.failure
    }
  }
}

/// Faults with the lines they stand in, as compilers show them.
enum FaultReport {
  static func print(_ error: ConfigurationError) {
    let isTerminal = isatty(2) == 1
    let (bold, red, plain) = isTerminal ? ("\u{1B}[1m", "\u{1B}[31m", "\u{1B}[0m") : ("", "", "")
    let lines = error.text.split(separator: "\n", omittingEmptySubsequences: false)
    var output = error.problem.map { "\(error.file): \($0)\n" } ?? ""
    for fault in error.faults {
      output += "\(bold)\(error.file):\(fault.line):\(fault.column):\(plain) "
      output += fault.path.isEmpty ? "" : "\(bold)\(fault.path)\(plain): "
      output += "\(fault.message)\n"
      guard lines.indices.contains(fault.line - 1) else { continue }
      output += "  \(lines[fault.line - 1])\n"
      output += "  " + String(repeating: " ", count: max(0, fault.column - 1)) + "\(red)^\(plain)\n"
    }
    if error.faults.count > 1 { output += "\(error.faults.count) faults\n" }
    let bytes = Array(output.utf8)
    _ = write(2, bytes, bytes.count)
  }
}
