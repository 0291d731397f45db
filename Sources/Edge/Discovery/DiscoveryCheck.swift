public import Configuration

/// Judges files of endpoints that a configuration names by reading them.
///
/// For `spillway check` alone: a process starts and reloads without them, as a registry that is away
/// is no reason to serve nothing.
public enum DiscoveryCheck {
  /// Finds what is wrong with lists of endpoints.
  ///
  /// - Parameters:
  ///   - loaded: A configuration that is valid otherwise.
  ///   - file: What the error names.
  /// - Throws: Every fault, at the field that names the file.
  public static func judge(
    _ loaded: LoadedConfiguration,
    file: String
  ) throws(ConfigurationError) {
    var faults: [Fault] = []
    for (index, service) in loaded.settings.services.enumerated() {
      guard case .file(let path) = service.discovery else { continue }
      let word = DiscoveredFile.read(path, allowsUnix: service.allowsUnixEndpoints)
      let problem: String
      switch word {
      case .failure(_, let text): problem = text
      case .list(let list) where list.isEmpty: problem = "\(path): lists no endpoint"
      case .list: continue
      }
      let field = "services[\(index)].discovery.file"
      let place = loaded.files.first { $0.field == field }
      faults.append(
        Fault(
          line: place?.line ?? 1,
          column: place?.column ?? 1,
          path: field,
          message: problem
        )
      )
    }
    guard !faults.isEmpty else { return }
    throw ConfigurationError(file: file, faults: faults.sorted(), text: loaded.text)
  }
}
