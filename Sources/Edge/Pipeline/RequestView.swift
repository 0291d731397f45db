internal import HTTPCodec
internal import Reactor

/// A request head while the stages look at it: pointers that live as long as the look.
///
/// Nothing of it outlives the turn; what must is copied into the exchange's request block.
struct RequestView {
  /// The head's first byte; all offsets count from here.
  var bytes: UnsafePointer<UInt8>
  var fields: UnsafePointer<HeadField>
  var head: RequestHead
  /// The normalised path.
  var path: UnsafePointer<UInt8>
  var pathLength: Int
  /// The request's id: the client's, when it is trusted, or 32 digits of ours.
  var identifier: UnsafePointer<UInt8>
  var identifierLength: Int
  /// The caller's trace, where it is asked for and there is one.
  var trace = TraceID.none
  var peer: IPBytes
  var peerIsUnix: Bool
  var isTrusted: Bool
  /// The client came over TLS.
  var isSecure = false
  /// The head came over HTTP/2: it lies in the codec's memory and not in the connection's input.
  var isHTTP2 = false
  /// It is a call of the edge itself, for nobody else.
  var isInternal = false
  /// Such a call, whose answer is read for as long as it lasts.
  var isEndless = false
  /// Set where a CONNECT of HTTP/2 asks for a WebSocket, to be a GET with an upgrade.
  var webSocketKey: (UInt64, UInt64)?

  /// Whether a 2xx would tell the client that it has a tunnel (RFC 9110 section 9.3.6).
  var asksForTunnel: Bool { head.method == .connect || webSocketKey != nil }

  /// The line of a field, its end included: from its name to the next field's.
  func lineEnd(_ index: Int) -> Int {
    index + 1 < Int(head.fieldCount)
      ? Int(fields[index + 1].nameStart) : Int(head.headLength) - 2
  }

  /// The body that follows, before its first byte; over HTTP/2 a stream ends what has no length.
  var body: BodyReader {
    let framing: BodyFraming =
      head.isChunked
      ? (isHTTP2 ? .untilClose : .chunked) : head.contentLength > 0 ? .length : .none
    return BodyReader(framing, length: head.contentLength)
  }

  /// Whether no body follows.
  var hasNoBody: Bool { !head.isChunked && head.contentLength <= 0 }

  /// The first field of a kind, or -1.
  func first(_ kind: KnownField) -> Int {
    for index in 0..<Int(head.fieldCount) where fields[index].known == kind { return index }
    return -1
  }
}
