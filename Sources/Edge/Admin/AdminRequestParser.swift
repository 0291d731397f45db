/// Parses one request of the admin port, strictly; simple since nothing there is hot.
public enum AdminRequestParser {
  /// Most bytes of a head.
  public static let maximumHead = 8_192
  /// Most bytes of a body.
  public static let maximumBody = 65_536

  public enum Outcome {
    case incomplete
    /// The request and how many bytes it took.
    case request(AdminRequest, keepsAlive: Bool, length: Int)
    /// To be answered with this status, then closed.
    case refused(Int)
  }

  /// Reads the request that the bytes begin with.
  public static func parse(_ bytes: [UInt8]) -> Outcome {
    guard let end = headEnd(bytes) else {
      return bytes.count >= maximumHead ? .refused(431) : .incomplete
    }
    guard end <= maximumHead else { return .refused(431) }
    // A head in other bytes than printable ASCII has no business here.
    let head = bytes[..<(end - 4)]
    guard head.allSatisfy({ ($0 >= 0x20 && $0 < 0x7F) || $0 == 9 || $0 == 10 || $0 == 13 }) else {
      return .refused(400)
    }
    let lines = split(head)
    guard let lines, let requestLine = lines.first else { return .refused(400) }
    let words = requestLine.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 3, isToken(words[0]), words[1].hasPrefix("/"), !words[1].contains("\t")
    else { return .refused(400) }
    guard words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0" else {
      return .refused(words[2].hasPrefix("HTTP/") ? 505 : 400)
    }
    guard let fields = fields(lines.dropFirst()) else { return .refused(400) }
    if words[2] == "HTTP/1.1", fields["host"] == nil { return .refused(400) }
    if fields["transfer-encoding"] != nil { return .refused(501) }

    var length = 0
    if let text = fields["content-length"] {
      guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else {
        return .refused(400)
      }
      guard let value = Int(text), value <= maximumBody else { return .refused(413) }
      length = value
    }
    guard bytes.count >= end + length else { return .incomplete }
    let target = words[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let request = AdminRequest(
      method: words[0],
      path: String(target[0]),
      query: target.count > 1 ? String(target[1]) : "",
      fields: fields,
      body: Array(bytes[end..<(end + length)])
    )
    let options = (fields["connection"] ?? "").lowercased()
    let keepsAlive = words[2] == "HTTP/1.1" && !options.contains("close")
    return .request(request, keepsAlive: keepsAlive, length: end + length)
  }

  /// The bytes of the head with its empty line.
  private static func headEnd(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    for index in 3..<bytes.count where bytes[index] == 10 {
      if bytes[index - 1] == 13, bytes[index - 2] == 10, bytes[index - 3] == 13 {
        return index + 1
      }
    }
    return nil
  }

  /// The lines of a head; nil when one ends in less than CR LF.
  private static func split(_ head: ArraySlice<UInt8>) -> [String]? {
    var lines: [String] = []
    var line: [UInt8] = []
    var sawReturn = false
    for byte in head {
      if sawReturn {
        guard byte == 10 else { return nil }
        lines.append(String(decoding: line, as: UTF8.self))
        line = []
        sawReturn = false
      } else if byte == 13 {
        sawReturn = true
      } else if byte == 10 {
        return nil
      } else {
        line.append(byte)
      }
    }
    guard !sawReturn else { return nil }
    return lines + [String(decoding: line, as: UTF8.self)]
  }

  /// Field values by name; nil for a malformed line or a repeated Host or Content-Length.
  private static func fields(_ lines: some Sequence<String>) -> [String: String]? {
    var fields: [String: String] = [:]
    for line in lines {
      guard let colon = line.firstIndex(of: ":"), isToken(line[..<colon]) else { return nil }
      let name = line[..<colon].lowercased()
      let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
      let rest = line[line.index(after: colon)...].drop(while: blank)
      let value = String(String(rest.reversed()).drop(while: blank).reversed())
      if let before = fields[name] {
        guard name != "host", name != "content-length" else { return nil }
        fields[name] = before + ", " + value
      } else {
        fields[name] = value
      }
    }
    return fields
  }

  private static func isToken(_ text: some StringProtocol) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy { byte in
        (byte >= 48 && byte <= 57) || (byte | 0x20 >= 97 && byte | 0x20 <= 122)
          || "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
  }
}
