internal import CLinux
internal import Glibc
public import Logging

/// Writes the operational log to standard error, one line per event.
public struct OperationalLog: LogHandler {
  public enum Format: String, CaseIterable, Sendable {
    case text
    case json
  }

  public var metadata: Logger.Metadata = [:]
  public var logLevel: Logger.Level
  private let label: String
  private let format: Format
  private let descriptor: Int32

  public init(label: String, format: Format, level: Logger.Level, descriptor: Int32 = 2) {
    self.label = label
    self.format = format
    self.descriptor = descriptor
    logLevel = level
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var pairs: [(String, String)] = [
      ("time", Self.time(clinux_wall_now())), ("level", event.level.rawValue), ("logger", label),
      ("message", "\(event.message)"),
    ]
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) { pairs.append((key, "\(value)")) }
    // One write, so that lines of several processes on one pipe do not mix.
    let bytes = Array((Self.line(pairs, format) + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
  }

  static func line(_ pairs: [(String, String)], _ format: Format) -> String {
    switch format {
    case .text: pairs.map { "\($0)=\(logfmt($1))" }.joined(separator: " ")
    case .json:
      "{" + pairs.map { "\(quoted($0)):\(quoted($1))" }.joined(separator: ",") + "}"
    }
  }

  private static func logfmt(_ text: String) -> String {
    let isPlain =
      !text.isEmpty
      && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3D && $0 != 0x5C && $0 != 0x7F }
    return isPlain ? text : quoted(text)
  }

  /// Quoted as JSON asks: no byte of a peer or a file can end the line or forge a field.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// RFC 3339 in UTC with milliseconds.
  static func time(_ nanoseconds: Int64) -> String {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let fraction = String(1_000 + nanoseconds / 1_000_000 % 1_000).dropFirst()
    return "\(parts.tm_year + 1_900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
      + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z"
  }
}
