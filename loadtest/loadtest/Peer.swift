internal import Foundation

/// Something that can stand between callers and a service: the edge, or one of its peers.
struct Peer {
  /// What `loadtest/peers/NAME.json` says.
  private struct Description: Decodable {
    /// Looked for beside this program, then along PATH.
    var binary: String
    /// The template of its configuration, beside the description.
    var config: String
    /// With `{bin}`, `{config}` and `{run_dir}`.
    var command: [String]
    var version: [String]
    /// What `@name@` of the template stand for with this one; may hold names of the run's values.
    var values: [String: String]?
    /// Of `http1`, `h2` and `grpc`, what its template can take from callers; all when absent.
    var protocols: [String]?
  }

  /// Why a peer cannot be used; for the user.
  struct Missing: Error, CustomStringConvertible {
    var description: String
  }

  let name: String
  let version: String
  private let binary: String
  private let template: String
  private let command: [String]
  private let values: [String: String]
  private let protocols: [String]?

  /// Finds a peer.
  ///
  /// - Parameters:
  ///   - name: Of its description.
  ///   - folder: Where descriptions and templates lie.
  /// - Throws: `Missing` where it is not installed; anything else is a fault.
  init(_ name: String, folder: String) throws {
    let file = folder + "/" + name + ".json"
    guard let data = FileManager.default.contents(atPath: file) else {
      throw Missing(description: "\(name): there is no \(file)")
    }
    let description = try JSONDecoder().decode(Description.self, from: data)
    guard let binary = Self.find(description.binary) else {
      throw Missing(description: "\(name): \(description.binary) is not installed")
    }
    self.name = name
    self.binary = binary
    template = try String(contentsOfFile: folder + "/" + description.config, encoding: .utf8)
    command = description.command
    values = description.values ?? [:]
    protocols = description.protocols
    version = ChildProcess.firstLine(
      description.version.map { $0.replacingOccurrences(of: "{bin}", with: binary) }
    )
  }

  /// Whether its template can take the load of a scenario over `http1`, `h2` or `grpc`.
  func speaks(_ spoken: String) -> Bool { protocols?.contains(spoken) ?? true }

  private static func find(_ name: String) -> String? {
    let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().path
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    // Where Debian has what is for administrators.
    let places =
      [own] + path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/local/sbin"]
    return places.map { $0 + "/" + name }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  /// Writes its configuration and starts it.
  ///
  /// - Parameters:
  ///   - folder: Its own, for this run.
  ///   - file: A template in place of its own.
  ///   - values: What the template's `@name@` stand for.
  /// - Returns: The process, which may not listen yet.
  /// - Throws: When a name of the template has no value, or it cannot be started.
  func start(
    in folder: String,
    template file: String? = nil,
    _ values: [String: String]
  ) throws -> ChildProcess {
    var text = try file.map { try String(contentsOfFile: $0, encoding: .utf8) } ?? template
    for group in [self.values, values, ["run_dir": folder]] {
      for (name, value) in group {
        text = text.replacingOccurrences(of: "@\(name)@", with: value)
      }
    }
    if let left = text.range(of: "@[a-z_]+@", options: .regularExpression) {
      throw Missing(description: "\(name): its template has no value for \(text[left])")
    }
    let config = folder + "/configuration"
    try text.write(toFile: config, atomically: true, encoding: .utf8)
    return try ChildProcess(
      command.map {
        $0.replacingOccurrences(of: "{bin}", with: binary)
          .replacingOccurrences(of: "{config}", with: config)
          .replacingOccurrences(of: "{run_dir}", with: folder)
      },
      log: folder + "/log"
    )
  }
}
