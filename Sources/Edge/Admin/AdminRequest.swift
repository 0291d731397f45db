/// One request to the admin server.
public struct AdminRequest: Sendable {
  public let method: String
  /// Without the query, as it was sent.
  public let path: String
  /// What follows the question mark, empty without one.
  public let query: String
  /// Field values by lower-case name; repeated ones joined by commas.
  public let fields: [String: String]
  public var body: [UInt8] = []
}

/// The answer to one request of the admin server.
public struct AdminReply: Sendable {
  public var status: Int
  public var contentType: String
  public var body: [UInt8]
  public var fields: [(name: String, value: String)] = []

  public init(status: Int = 200, contentType: String, body: [UInt8]) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  /// Plain text.
  public static func text(_ text: String, status: Int = 200) -> AdminReply {
    AdminReply(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
  }

  /// A JSON text.
  public static func json(_ text: String, status: Int = 200) -> AdminReply {
    AdminReply(status: status, contentType: "application/json", body: Array(text.utf8))
  }
}
