/// Where the access log goes, as `accessLog.output` says it.
public enum AccessLogOutput: Sendable, Equatable {
  case stdout
  /// A file that is appended to.
  case file(path: String)
  /// A Unix datagram socket that takes RFC 5424 messages.
  case syslog(path: String)
  case off

  /// From `stdout`, `file:PATH`, `syslog:SOCKET` or `off`; nil for anything else.
  public init?(_ text: String) {
    if text == "stdout" {
      self = .stdout
    } else if text == "off" {
      self = .off
    } else if text.hasPrefix("file:"), text.utf8.count > 5 {
      self = .file(path: String(text.dropFirst(5)))
    } else if text.hasPrefix("syslog:"), text.utf8.count > 7 {
      self = .syslog(path: String(text.dropFirst(7)))
    } else {
      return nil
    }
  }
}
