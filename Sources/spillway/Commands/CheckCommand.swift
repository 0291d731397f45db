internal import ArgumentParser
internal import Configuration
internal import Edge
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
      try CertificateCheck.judge(loaded, file: file)
      try DiscoveryCheck.judge(loaded, file: file)
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
      FaultOutput.print(error)
      throw ArgumentParser.ExitCode.failure
    }
  }
}

/// Shows why a file is refused.
enum FaultOutput {
  static func print(_ error: ConfigurationError) {
    let bytes = Array(FaultReport(error, isColoured: isatty(2) == 1).text.utf8)
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
      guard count > 0 || errno == EINTR else { return }
      written += max(0, count)
    }
  }
}
