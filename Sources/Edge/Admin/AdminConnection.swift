import CLinux
import Glibc

/// One connection of the admin port: bytes read, bytes to write, when it is given up.
struct AdminConnection {
  /// Milliseconds for a whole request, from its first byte or from the accept.
  static let requestTimeout: Int64 = 5_000
  /// Milliseconds between requests.
  static let idleTimeout: Int64 = 30_000
  /// Milliseconds for a whole response: a slow reader ends, however slowly it goes on.
  static let responseTimeout: Int64 = 10_000
  /// Milliseconds in which a client closes after our last answer: closing with bytes unread would
  /// reset the connection and could take the answer with it (RFC 9112 section 9.6).
  static let lingerTimeout: Int64 = 1_000

  let descriptor: Int32
  /// Milliseconds on the monotonic clock.
  private(set) var deadline: Int64
  private var input: [UInt8] = []
  private var output: [UInt8] = []
  private var sent = 0
  private var closesAfterOutput = false
  private var hasServed = false
  /// The last answer is out; what still comes in is thrown away.
  private var isLingering = false

  init(descriptor: Int32, now: Int64) {
    self.descriptor = descriptor
    deadline = now + Self.requestTimeout
  }

  /// Waits between two requests or for the end, so it may be closed for a new connection.
  var isIdle: Bool { isLingering || (hasServed && input.isEmpty && output.isEmpty) }

  /// What to poll for.
  var events: Int16 { Int16(output.isEmpty ? POLLIN : POLLOUT) }

  /// Reads or writes what is ready; false when the connection has ended.
  mutating func advance(_ endpoints: AdminEndpoints, now: Int64) -> Bool {
    if !output.isEmpty { return flush(now: now) && (!output.isEmpty || answer(endpoints, now)) }
    var room = [UInt8](repeating: 0, count: 4_096)
    let count = recv(descriptor, &room, room.count, Int32(MSG_DONTWAIT))
    if count < 0 { return errno == EAGAIN || errno == EINTR }
    guard count > 0 else { return false }
    if isLingering { return true }
    // The first byte of a further request starts its time.
    if input.isEmpty, hasServed { deadline = now + Self.requestTimeout }
    input += room[..<count]
    return answer(endpoints, now)
  }

  /// Answers the requests that are complete, one at a time.
  private mutating func answer(_ endpoints: AdminEndpoints, _ now: Int64) -> Bool {
    while output.isEmpty, !isLingering {
      switch AdminRequestParser.parse(input) {
      case .incomplete: return true
      case .refused(let status):
        let reply = AdminReply.text("refused\n", status: status)
        write(reply, isHead: false, keepsAlive: false)
      case .request(let request, let keepsAlive, let length):
        input.removeFirst(length)
        hasServed = true
        write(endpoints.answer(request), isHead: request.method == "HEAD", keepsAlive: keepsAlive)
      }
      deadline = now + Self.responseTimeout
      guard flush(now: now) else { return false }
    }
    return true
  }

  private mutating func write(_ reply: AdminReply, isHead: Bool, keepsAlive: Bool) {
    var head = "HTTP/1.1 \(reply.status) \(Self.reason(reply.status))\r\n"
    head += "content-type: \(reply.contentType)\r\ncontent-length: \(reply.body.count)\r\n"
    head += "cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
    for field in reply.fields { head += "\(field.name): \(field.value)\r\n" }
    head += "connection: \(keepsAlive ? "keep-alive" : "close")\r\n\r\n"
    output = Array(head.utf8)
    if !isHead { output += reply.body }
    sent = 0
    closesAfterOutput = !keepsAlive
  }

  /// Writes until the socket is full; false when the connection has ended.
  private mutating func flush(now: Int64) -> Bool {
    while sent < output.count {
      let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
      let count = output.withUnsafeBytes {
        send(descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent, flags)
      }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      sent += count
    }
    output = []
    deadline = now + (input.isEmpty ? Self.idleTimeout : Self.requestTimeout)
    if closesAfterOutput {
      isLingering = true
      deadline = now + Self.lingerTimeout
      return shutdown(descriptor, Int32(SHUT_WR)) == 0
    }
    return true
  }

  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 202: "Accepted"
    case 204: "No Content"
    case 400: "Bad Request"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 409: "Conflict"
    case 413: "Content Too Large"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
  }
}
