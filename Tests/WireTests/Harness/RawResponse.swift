import Foundation

/// A response as it stood on the wire.
struct RawResponse {
  enum Framing { case none, length, chunked, untilClose }

  let head: MessageHead
  let version: String
  let status: Int
  var framing = Framing.none
  var body: [UInt8] = []
  var trailers: [Field] = []
  /// False when the connection ended before the body did.
  var isComplete = true
  /// The 1xx responses that came before this one.
  var interim: [RawResponse] = []

  init(_ head: MessageHead) throws {
    let parts = head.startLine.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "HTTP/1.1" || parts[0] == "HTTP/1.0",
      parts[1].count == 3, let status = Int(parts[1])
    else { throw WireFailure("no status line: \(head.startLine.debugDescription)") }
    guard !(head.isChunked && head["content-length"] != nil) else {
      throw WireFailure("both framings in a response: \(head.fields)")
    }
    guard head.all("content-length").count <= 1, head.all("transfer-encoding").count <= 1 else {
      throw WireFailure("a framing field twice in a response: \(head.fields)")
    }
    self.head = head
    self.status = status
    version = String(parts[0])
  }

  var isInterim: Bool { (100..<200).contains(status) && status != 101 }

  var text: String { String(decoding: body, as: UTF8.self) }

  /// Whether the sender said that it closes after this response.
  var saysClose: Bool { head.members("connection").contains("close") }

  subscript(name: String) -> String? { head[name] }

  /// The body read as `application/problem+json`, nil when it is not that.
  var problem: [String: Any]? {
    guard head["content-type"]?.hasPrefix("application/problem+json") == true else { return nil }
    return (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any]
  }
}

extension RawResponse: CustomStringConvertible {
  var description: String {
    let rest = isComplete ? "" : " (cut off)"
    return "\(head.startLine) + \(body.count) bytes\(rest) after \(interim.map(\.status))"
  }
}
