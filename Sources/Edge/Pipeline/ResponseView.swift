internal import HTTPCodec

/// A response head while it is looked at: pointers that live as long as the look.
struct ResponseView {
  /// The head's first byte; all offsets count from here.
  var bytes: UnsafePointer<UInt8>
  var fields: UnsafePointer<HeadField>
  var head: ResponseHead
  /// The head came over HTTP/2: it lies in the codec's memory and not in the connection's input.
  var isHTTP2 = false
  /// Nothing follows, where HTTP/2 says so with the head.
  var endsStream = false
  /// The answer to a WebSocket's key, where a client of HTTP/1.1 waits for one and the service of
  /// HTTP/2 gave none.
  var webSocketAccept: InlineArray<28, UInt8>?

  init(bytes: UnsafePointer<UInt8>, fields: UnsafePointer<HeadField>, head: ResponseHead) {
    self.bytes = bytes
    self.fields = fields
    self.head = head
  }

  init(_ head: H2ResponseHead) {
    self.init(bytes: head.bytes, fields: head.fields, head: head.head)
    isHTTP2 = true
    endsStream = head.endsStream
  }

  /// The body that follows; that of a stream ends with it and not before, whatever its length, as
  /// trailers may follow.
  var body: BodyReader {
    guard isHTTP2 else { return BodyReader(head.framing, length: head.contentLength) }
    return BodyReader(endsStream ? .none : .untilClose, length: -1)
  }

  /// The protocol's version, as Via says it (RFC 9110 section 7.6.3).
  var version: StaticString { isHTTP2 ? "2.0" : head.minorVersion == 0 ? "1.0" : "1.1" }
}
