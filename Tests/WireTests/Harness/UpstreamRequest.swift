/// A request as a scripted upstream received it.
struct UpstreamRequest: Sendable {
  /// Which connection brought it, counted from 0 in the order of acceptance.
  let connection: Int
  /// Which request of its connection it was, from 0.
  let ordinal: Int
  let head: MessageHead
  let method: String
  let target: String
  let version: String
  var body: [UInt8] = []
  var trailers: [Field] = []
  /// False while the body, or the rest of it, is missing.
  var isComplete = false

  init(_ head: MessageHead, connection: Int, ordinal: Int) throws {
    let parts = head.startLine.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 3 else {
      throw WireFailure("no request line: \(head.startLine.debugDescription)")
    }
    self.head = head
    self.connection = connection
    self.ordinal = ordinal
    method = String(parts[0])
    target = String(parts[1])
    version = String(parts[2])
  }

  var text: String { String(decoding: body, as: UTF8.self) }

  subscript(name: String) -> String? { head[name] }
}

extension UpstreamRequest: CustomStringConvertible {
  var description: String { "\(head.startLine) + \(body.count) bytes" }
}
