internal import Upstream

/// What a registry knows us by, as it lies in a file: one line of visible characters.
enum RegistryToken {
  /// Those of Kubernetes have about 1 KiB, and a head holds 16 KiB.
  static let maximumBytes = 8_192

  /// Reads it now, as whoever renews it replaces the file.
  ///
  /// The words of a fault never quote it.
  static func read(_ path: String) throws(PlainFile.Fault) -> String {
    let bytes = try PlainFile.read(path, maximumBytes: maximumBytes)
    let blanks: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
    let token = bytes.drop(while: blanks.contains)
    let end = token.lastIndex { !blanks.contains($0) }.map { $0 + 1 } ?? token.startIndex
    let text = token[..<end]
    guard !text.isEmpty, text.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw PlainFile.Fault(failure: .invalid, words: "\(path): has no token of visible characters")
    }
    return String(decoding: text, as: UTF8.self)
  }
}
