import Edge
import Foundation

/// A file that lists endpoints, in a folder of its own that goes with it.
final class ListFile: Sendable {
  let folder: String
  let path: String

  /// `addresses`: What it lists at first; without them there is a folder and no file.
  init(_ addresses: [String]? = nil) throws {
    folder = "/tmp/spillway-list-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    path = "\(folder)/endpoints.yaml"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    if let addresses { list(addresses) }
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// How a service names it.
  var discovery: String { "file: \"\(path)\"" }

  /// Replaces the file by one that lists these.
  func list(_ addresses: [String]) { write(Self.text(addresses)) }

  /// Replaces the file by one of this text.
  func write(_ text: String) { FileText.replace(path, with: text) }

  func remove() { unlink(path) }

  static func text(_ addresses: [String]) -> String {
    "endpoints: [" + addresses.map { "\"\($0)\"" }.joined(separator: ", ") + "]\n"
  }
}
