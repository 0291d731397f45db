internal import HTTPCodec
internal import Units

/// The request of a call as it goes to the worker (RFC 9112 section 3).
///
/// Strings come from other code and, by way of registries, from elsewhere: what was written is read
/// back by the parser that the worker uses, and goes nowhere unless it says what was meant.
enum CallHead {
  /// Fields that frame the message or belong to the connection: the caller writes them, or nobody.
  private static let reserved: Set<String> = [
    "connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
  ]

  /// Writes the head and the body behind it.
  ///
  /// `authority`: The host, unless the request names another one.
  static func bytes(
    _ request: ServiceRequest,
    authority: String
  ) throws(CallFault) -> (bytes: [UInt8], method: Method) {
    guard request.body.count <= ServiceRequest.largestBody else {
      throw CallFault("the body has more than \(ServiceRequest.largestBody) bytes")
    }
    guard request.target.utf8.first == UInt8(ascii: "/") else {
      throw CallFault("the target \(request.target.debugDescription) does not begin with a slash")
    }
    var host = authority
    var lines = ""
    var count = 2
    for field in request.fields {
      let name = field.name.lowercased()
      guard !reserved.contains(name) else {
        throw CallFault("the field \(name) is not for a call to write")
      }
      if name == "host" {
        host = field.value
      } else {
        lines += "\(field.name): \(field.value)\r\n"
        count += 1
      }
    }
    if !request.body.isEmpty || ["POST", "PUT", "PATCH"].contains(request.method) {
      lines += "content-length: \(request.body.count)\r\n"
      count += 1
    }
    let text =
      "\(request.method) \(request.target) HTTP/1.1\r\nhost: \(host)\r\n"
      + "connection: close\r\n\(lines)\r\n"
    var bytes = Array(text.utf8)
    let method = try check(bytes, request, fields: count)
    bytes += request.body
    return (bytes, method)
  }

  /// Whether a head means the request: its method, its target, so many fields, and nothing behind.
  private static func check(
    _ bytes: [UInt8],
    _ request: ServiceRequest,
    fields: Int
  ) throws(CallFault) -> Method {
    guard fields <= HeadLimits.mostFields, bytes.count <= HeadLimits.largestHead else {
      throw CallFault("the head of the request is larger than \(HeadLimits.largestHead) bytes")
    }
    let head = withUnsafeTemporaryAllocation(of: HeadField.self, capacity: HeadLimits.mostFields) {
      table -> RequestHead? in
      var head = RequestHead()
      guard let room = table.baseAddress else { return nil }
      let outcome = bytes.withUnsafeBufferPointer { bytes in
        bytes.baseAddress.map {
          RequestParser.parse(
            $0,
            count: bytes.count,
            limits: CallBounds.head,
            fields: room,
            into: &head
          )
        }
      }
      return outcome == .complete ? head : nil
    }
    guard let head, Int(head.headLength) == bytes.count, Int(head.fieldCount) == fields,
      Int(head.methodLength) == request.method.utf8.count,
      Int(head.targetLength) == request.target.utf8.count
    else { throw CallFault("method, target and fields do not make a request") }
    guard head.method != .connect, head.method != .trace else {
      throw CallFault("\(request.method) is not served")
    }
    return head.method
  }
}
