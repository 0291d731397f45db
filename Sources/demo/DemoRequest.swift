/// A request as it arrived, after its body has been read and dropped.
struct DemoRequest {
  let method: String
  let target: String
  let version: String
  private(set) var fields: [(name: String, value: String)] = []
  var bodyLength = 0

  /// Parses `GET /path HTTP/1.1`; `nil` when it is something else.
  init?(line: [UInt8]) {
    let words = String(decoding: line, as: UTF8.self).split(separator: " ")
    guard words.count == 3, words[2].hasPrefix("HTTP/1.") else { return nil }
    method = String(words[0])
    target = String(words[1])
    version = String(words[2])
  }

  /// Adds `Name: value`; false when there is no colon.
  mutating func add(field line: [UInt8]) -> Bool {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return false }
    let blank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    let value = line[(colon + 1)...].drop(while: blank).reversed().drop(while: blank).reversed()
    fields.append(
      (String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
    )
    return true
  }

  /// The first value under a lower-case name.
  func field(_ name: String) -> String? {
    fields.first { $0.name.lowercased() == name }?.value
  }

  var isChunked: Bool { field("transfer-encoding")?.lowercased() == "chunked" }
  var expectsContinue: Bool { field("expect")?.lowercased() == "100-continue" }
  var isHead: Bool { method == "HEAD" }

  /// HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 closes it.
  var keepsAlive: Bool {
    let wish = field("connection")?.lowercased()
    return version == "HTTP/1.0" ? wish == "keep-alive" : wish != "close"
  }

  /// The path's parts, without the query.
  var parts: [Substring] {
    target.prefix { $0 != "?" }.split(separator: "/")
  }
}
