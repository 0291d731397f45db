/// What loading has read and noticed so far.
struct FileReading {
  private(set) var digests: [String: [UInt8]] = [:]
  private(set) var paths: [String] = []
  private(set) var warnings: [TLSLoadWarning] = []

  /// Reads a file and remembers its content's digest.
  mutating func read(_ path: String) throws(TLSLoadError) -> FileBytes {
    let file = try FileBytes(path)
    if digests.updateValue(file.digest, forKey: path) == nil { paths.append(path) }
    return file
  }

  mutating func warn(_ file: String, _ reason: TLSLoadWarning.Reason) {
    warnings.append(TLSLoadWarning(file, reason))
  }
}
