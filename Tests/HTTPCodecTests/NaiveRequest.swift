import Foundation

/// A second, slow reading of the request grammar, made of whole lines and text.
///
/// It shares neither code nor method with the parser: it cuts the bytes into lines, then matches
/// regular expressions. Only whole heads are judged; it knows no limits.
struct NaiveRequest {
  var isComplete = false
  var length = 0
  var method = ""
  var target = ""
  var fields: [(name: String, value: String)] = []
  var contentLength: Int64 = -1
  var isChunked = false
  var keepsAlive = false

  /// Reads a head, or returns nil when it is faulty.
  ///
  /// Bytes become Latin-1 text so that each is one character.
  init?(_ bytes: [UInt8]) {
    guard let text = String(bytes: bytes, encoding: .isoLatin1) else { return nil }
    let head = text.hasPrefix("\r\n") ? String(text.unicodeScalars.dropFirst(2)) : text
    guard let end = head.range(of: "\r\n\r\n", options: .literal) else { return }
    let lines = head[..<end.lowerBound].components(separatedBy: "\r\n")
    length = text.unicodeScalars.count - head[end.upperBound...].unicodeScalars.count

    let version = "HTTP/1\\.[01]"
    guard Self.matches(lines[0], "[-!#$%&'*+.^_`|~0-9A-Za-z]{1,32} [!-\"$-~]+ \(version)") else {
      return nil
    }
    let words = lines[0].components(separatedBy: " ")
    method = words[0]
    target = words[1]
    let isNew = words[2] == "HTTP/1.1"
    for line in lines.dropFirst() {
      guard Self.matches(line, "[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\\t -~\\x80-\\xFF]*") else {
        return nil
      }
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let value = parts[1].trimmingCharacters(in: CharacterSet(charactersIn: " \t"))
      fields.append((String(parts[0]), value))
    }
    guard judgeFraming(isNew), judgeConnection(isNew), judgeHost(isNew) else { return nil }
    isComplete = true
  }

  private func values(_ name: String) -> [String] {
    fields.filter { $0.name.lowercased() == name }.map(\.value)
  }

  private mutating func judgeFraming(_ isNew: Bool) -> Bool {
    let lengths = values("content-length")
    let codings = values("transfer-encoding")
    guard lengths.count + codings.count <= 1 else { return false }
    if let length = lengths.first {
      guard Self.matches(length, "[0-9]{1,19}"), let number = Int64(length) else { return false }
      contentLength = number
    }
    if let coding = codings.first {
      guard isNew, coding.lowercased() == "chunked" else { return false }
      isChunked = true
    }
    return true
  }

  private mutating func judgeConnection(_ isNew: Bool) -> Bool {
    let options = values("connection").flatMap { value in
      value.components(separatedBy: ",").map {
        $0.trimmingCharacters(in: CharacterSet(charactersIn: " \t")).lowercased()
      }
    }
    .filter { !$0.isEmpty }
    guard options.allSatisfy({ Self.matches($0, "[-!#$%&'*+.^_`|~0-9a-z]+") }) else { return false }
    let named = Set(options).intersection(["host", "content-length", "transfer-encoding"])
    let usual = ["close", "keep-alive", "upgrade", "te"]
    guard named.isEmpty, options.filter({ !usual.contains($0) }).count <= 32 else { return false }
    keepsAlive = !options.contains("close") && (isNew || options.contains("keep-alive"))
    return true
  }

  private func judgeHost(_ isNew: Bool) -> Bool {
    let hosts = values("host")
    guard hosts.count == 1 || (hosts.isEmpty && !isNew) else { return false }
    let host = hosts.first.map(Self.authority)
    if let host, host == nil { return false }
    if method == "CONNECT" {
      guard let named = Self.authority(target), let port = named.port else { return false }
      guard let host = host ?? nil else { return true }
      return host.name == named.name && (host.port ?? port) == port
    }
    if target.hasPrefix("/") { return true }
    if target == "*" { return method == "OPTIONS" }
    let pattern = "(?i:https?)://[^/?]+([/?].*)?"
    guard Self.matches(target, pattern) else { return false }
    let rest = target.components(separatedBy: "://").dropFirst().joined(separator: "://")
    let text = rest.components(separatedBy: CharacterSet(charactersIn: "/?"))[0]
    guard let named = Self.authority(text) else { return false }
    guard let host = host ?? nil else { return true }
    let usual = target.lowercased().hasPrefix("https:") ? 443 : 80
    return host.name == named.name && (host.port ?? usual) == (named.port ?? usual)
  }

  private static func authority(_ text: String) -> (name: String, port: Int?)? {
    guard matches(text, "([-._~0-9A-Za-z]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?") else { return nil }
    var name = text
    var port: Int?
    if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
      name = String(text[..<colon])
      port = Int(text[text.index(after: colon)...])
    }
    if let port, port > 65_535 { return nil }
    if name.hasPrefix("["), !isIPv6(String(name.dropFirst().dropLast())) { return nil }
    return (name.lowercased(), port)
  }

  private static func isIPv6(_ text: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET6, text, &address) == 1
  }

  private static func matches(_ text: String, _ pattern: String) -> Bool {
    text.range(of: "\\A(?:\(pattern))\\z", options: .regularExpression) != nil
  }
}
