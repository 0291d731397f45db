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
      guard let (problem, source) = problem(service) else { continue }
      let field = "services[\(index)].discovery.\(source)"
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

  /// What is wrong with a file that a service's discovery names, and which field names it.
  private static func problem(_ service: ServiceSetting) -> (problem: String, field: String)? {
    switch service.discovery {
    case .file(let path):
      switch DiscoveredFile.read(path, allowsUnix: service.allowsUnixEndpoints) {
      case .failure(_, let text): return (text, "file")
      case .list(let list, _): return list.isEmpty ? ("\(path): lists no endpoint", "file") : nil
      }
    case .registry(let registry):
      guard let path = registry.tokenFile else { return nil }
      do throws(PlainFile.Fault) {
        _ = try RegistryToken.read(path)
        return nil
      } catch {
        return (error.words, "\(registry.kind).tokenFile")
      }
    case .addresses, .services, nil: return nil
    }
  }
}
