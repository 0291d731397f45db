internal import Glibc
internal import Yams

/// Text to settings: the one place that refuses them.
public enum ConfigurationSource {
  /// Name of the copy in the state directory.
  public static let lastGoodName = "last-good.yaml"

  /// Reads and validates a text.
  ///
  /// - Parameters:
  ///   - text: The whole document.
  ///   - file: What faults name.
  ///   - folder: Where relative paths of files begin; the file's own folder when it is `nil`.
  ///   - version: The version where the text does not name one.
  /// - Returns: The settings with all defaults.
  /// - Throws: Every fault at once.
  public static func parse(
    _ text: String,
    file: String,
    folder: String? = nil,
    version: Int = 1
  ) throws(ConfigurationError) -> LoadedConfiguration {
    let reader = Reader()
    let node: Node
    do {
      node = try Document.read(text)
    } catch {
      throw ConfigurationError(file: file, faults: [error], text: text)
    }
    let (settings, places) = SettingsReader.read(
      Field(node: node, path: "", reader: reader),
      folder: folder ?? Self.folder(of: file)
    )
    Validation.judge(settings, places)
    guard reader.faults.isEmpty else {
      throw ConfigurationError(
        file: file,
        faults: Array(Set(reader.faults)).sorted(),
        text: text
      )
    }
    var loaded = LoadedConfiguration(
      settings: settings,
      text: text,
      checksum: "sha256:" + SHA256.hex(of: text),
      version: settings.version ?? version,
      fromLastGood: false
    )
    loaded.files = places.files
    return loaded
  }

  /// The folder that a file lies in, empty for that of the process.
  public static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The text of a file, as far as the bound on its size allows.
  public static func text(of path: String) throws(ConfigurationError) -> String {
    if let text = read(path) { return text }
    throw ConfigurationError(
      file: path,
      problem: "cannot be read: \(String(cString: strerror(errno)))"
    )
  }

  /// Reads and validates a file.
  public static func load(
    _ path: String,
    version: Int = 1
  ) throws(ConfigurationError) -> LoadedConfiguration {
    let text = try Self.text(of: path)
    var loaded = try parse(text, file: path, version: version)
    guard let zone = zoneOfProcess else { return loaded }
    guard Zone.isName(zone) else {
      throw ConfigurationError(file: path, problem: "\(Zone.variable) is no name of a zone")
    }
    loaded.settings.zone = loaded.settings.zone ?? zone
    return loaded
  }

  /// The zone that the environment says this process is in.
  private static var zoneOfProcess: String? {
    getenv(Zone.variable).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The copy of the configuration that was accepted last, when there is one that still is valid.
  ///
  /// `folder`: That of the file it is a copy of, where the files that it names are.
  public static func lastGood(
    in directory: String,
    folder: String = "",
    version: Int = 1
  ) -> LoadedConfiguration? {
    guard let text = read("\(directory)/\(lastGoodName)"),
      var loaded = try? parse(text, file: lastGoodName, folder: folder, version: version)
    else { return nil }
    loaded.fromLastGood = true
    if let zone = zoneOfProcess, Zone.isName(zone) {
      loaded.settings.zone = loaded.settings.zone ?? zone
    }
    return loaded
  }

  /// Keeps a configuration as the last good one; either the old copy or the new one is there.
  ///
  /// - Returns: What went wrong, or `nil`.
  public static func saveLastGood(_ loaded: LoadedConfiguration, in directory: String) -> String? {
    let path = "\(directory)/\(lastGoodName)"
    let temporary = "\(path).new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return "\(temporary): \(String(cString: strerror(errno)))" }
    let bytes = Array(loaded.text.utf8)
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { source in
        source.baseAddress.map { write(descriptor, $0 + written, source.count - written) } ?? -1
      }
      guard count > 0 else { break }
      written += count
    }
    let isSafe = written == bytes.count && fsync(descriptor) == 0
    let code = errno
    close(descriptor)
    guard isSafe, rename(temporary, path) == 0 else {
      return "\(path): \(String(cString: strerror(isSafe ? errno : code)))"
    }
    return nil
  }

  private static func read(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while bytes.count <= Document.maximumBytes {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { return nil }
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
