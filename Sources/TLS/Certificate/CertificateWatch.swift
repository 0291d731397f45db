/// The files that a context was built from, with their content at that time.
///
/// Certificates are replaced by renaming, by links or in place, and sometimes by the same content;
/// whether a context is out of date is a question of content alone. Give `paths` to whatever
/// watches files, and ask `isOutdated` when that rings.
public struct CertificateWatch: Equatable, Sendable {
  /// The files, each once.
  public let paths: [String]
  private let digests: [[UInt8]]

  init(_ reading: FileReading) {
    paths = reading.paths
    digests = reading.paths.map { reading.digests[$0] ?? [] }
  }

  /// Whether a file holds something else now; reads all of them, so not for a worker's thread.
  ///
  /// A file that cannot be read at the moment is not news: it is between two steps of a tool.
  public func isOutdated() -> Bool {
    zip(paths, digests).contains { path, digest in
      guard var file = try? FileBytes(path) else { return false }
      defer { file.erase() }
      return file.digest != digest
    }
  }
}
