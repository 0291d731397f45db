internal import ArgumentParser
internal import Configuration

/// Asks a running edge what the admission of its services does, and why.
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Show each service: limit, in flight, queue, last refusals, breakers, endpoints.",
    discussion: "Asks the admin address of a running edge; what it says is true of that moment."
  )

  @Argument(help: "The configuration file, for its admin address.")
  var file: String?

  @Option(help: "The admin address instead, such as 127.0.0.1:9901")
  var admin: String?

  @Flag(help: "Print JSON, as GET /admin/services gives it.")
  var json = false

  func validate() throws {
    guard (file == nil) != (admin == nil) else {
      throw ValidationError("give the configuration file or --admin")
    }
  }

  func run() throws {
    let (host, port) = try target()
    do {
      let path = "/admin/services" + (json ? "" : "?format=text")
      print(try AdminClient.get(path, host: host, port: port), terminator: "")
    } catch {
      throw failure("\(host):\(port): \(error.reason)")
    }
  }

  private func target() throws -> (host: String, port: UInt16) {
    if let admin {
      let parts = admin.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let port = UInt16(parts[1]), port > 0 else {
        throw failure("\(admin) is no address and port, such as 127.0.0.1:9901")
      }
      return (String(parts[0]), port)
    }
    do {
      let settings = try ConfigurationSource.load(file ?? "").settings
      guard case .ip(let host, let port)? = settings.admin, port > 0 else {
        throw failure("the file names no admin address with a port")
      }
      return (host, port)
    } catch let error as ConfigurationError {
      FaultOutput.print(error)
      throw ArgumentParser.ExitCode.failure
    }
  }

  private func failure(_ reason: String) -> any Error {
    ValidationError("explain failed: \(reason)")
  }
}
