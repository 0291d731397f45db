internal import HTTPCodec
internal import LoadKit
internal import Units

/// A kind of request as a session or TLS sends it: fields in order, and a body that never ends up
/// in memory as a whole.
final class PreparedRequest {
  let method: Method
  /// Of the head.
  let headLength: Int
  /// Of head and body, as HTTP/1.1 sends them.
  let length: Int
  /// Of the body.
  let bodyLength: Int
  private let head: RequestHead
  private let bytes: UnsafeMutablePointer<UInt8>
  private let fields: UnsafeMutablePointer<HeadField>
  private let payload: RepeatedBody
  private let isSecure: Bool

  /// - Throws: When the head cannot be read as one.
  init(_ kind: RequestKind, _ target: Target) throws(EngineError) {
    let text = Self.head(kind, target)
    payload =
      kind.isGRPC ? RepeatedBody(message: kind.bodySize) : RepeatedBody(filler: kind.bodySize)
    isSecure = target.isSecure
    headLength = text.count
    bodyLength = payload.count
    length = headLength + bodyLength
    bytes = .allocate(capacity: text.count)
    bytes.initialize(from: text, count: text.count)
    fields = .allocate(capacity: HeadLimits.mostFields)
    let limits = HeadLimits(
      maximumBytes: HeadLimits.largestHead,
      maximumFields: HeadLimits.mostFields,
      maximumTarget: HeadLimits.largestHead
    )
    var head = RequestHead()
    let outcome = RequestParser.parse(
      bytes,
      count: text.count,
      limits: limits,
      fields: fields,
      into: &head
    )
    self.head = head
    method = head.method
    guard case .complete = outcome else {
      throw EngineError("the kind \(kind.name) makes no valid request")
    }
  }

  deinit {
    bytes.deallocate()
    fields.deallocate()
  }

  /// The head as HTTP/1.1 writes it.
  static func head(_ kind: RequestKind, _ target: Target) -> [UInt8] {
    var text = "\(kind.method) \(kind.path) HTTP/1.1\r\n"
    let given = Set(kind.headers.map { $0.name.lowercased() })
    func add(_ name: String, _ value: String) {
      if !given.contains(name) { text += "\(name): \(value)\r\n" }
    }
    add("host", target.authority)
    add("user-agent", kind.isGRPC ? "grpc-spillway-loadtest" : "spillway-loadtest")
    if kind.isGRPC {
      add("content-type", "application/grpc")
      add("te", "trailers")
      add("grpc-timeout", "\(max(1, kind.deadline.rawValue / 1_000_000))m")
    } else if kind.bodySize > 0 || ["POST", "PUT", "PATCH"].contains(kind.method) {
      text += "content-length: \(kind.bodySize)\r\n"
    }
    for header in kind.headers { text += "\(header.name): \(header.value)\r\n" }
    return Array((text + "\r\n").utf8)
  }

  /// Adds all lines, pseudo-header fields first.
  func fill(_ list: inout H2FieldList) {
    list.add(":method", bytes + Int(head.methodStart), Int(head.methodLength))
    if isSecure { list.add(":scheme", "https") } else { list.add(":scheme", "http") }
    list.add(":authority", bytes + Int(head.authorityStart), Int(head.authorityLength))
    list.add(":path", bytes + Int(head.targetStart), Int(head.targetLength))
    list.add(fields, count: Int(head.fieldCount), of: bytes)
  }

  /// Bytes of the body from an offset, as many as lie in one place; not for its end.
  func body(at offset: Int) -> UnsafeBufferPointer<UInt8> { payload.piece(at: offset) }

  /// Bytes of head and body from an offset, as many as lie in one place; not for the end.
  func message(at offset: Int) -> UnsafeBufferPointer<UInt8> {
    guard offset < headLength else { return body(at: offset - headLength) }
    return UnsafeBufferPointer(start: bytes + offset, count: headLength - offset)
  }
}
