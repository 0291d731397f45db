/// A rule of HTTP/2 that a client breaks, or does not, and what has to come of it.
struct HTTP2Rule: CustomStringConvertible, Sendable {
  enum Answer: Sendable {
    /// GOAWAY with the code, and the end.
    case connection(UInt32)
    /// RST_STREAM with the code; the connection goes on.
    case stream(UInt32, UInt32)
    /// The RFC demands an error of the stream, and lets it be taken for one of the connection
    /// (section 5.4.1), as is done here: it costs less, and nobody is reset at a client's wish.
    case either(UInt32, UInt32)
    /// The connection is closed, with a code or without.
    case closed
    case none
  }

  let description: String
  let bytes: [UInt8]
  let answer: Answer
  var hasHello = true

  init(_ description: String, _ bytes: [UInt8], _ answer: Answer, hasHello: Bool = true) {
    self.description = description
    self.bytes = bytes
    self.answer = answer
    self.hasHello = hasHello
  }

  // Names of RFC 9113 section 7.
  static let protocolError: UInt32 = 1
  static let flowControlError: UInt32 = 3
  static let streamClosed: UInt32 = 5
  static let frameSizeError: UInt32 = 6
  static let compressionError: UInt32 = 9

  static let endStream = HTTP2Frames.endStream
  static let endHeaders = HTTP2Frames.endHeaders
  static let padded: UInt8 = 0x8
  static let priority: UInt8 = 0x20

  static let hello = HTTP2Frames.hello + HTTP2Frames.frame(0x4, endStream, 0)
  /// The stream of the request behind each that has to harm nothing.
  static let last: UInt32 = 4_001

  static func frame(
    _ kind: UInt8,
    _ flags: UInt8,
    _ stream: UInt32,
    _ payload: [UInt8] = []
  ) -> [UInt8] { HTTP2Frames.frame(kind, flags, stream, payload) }

  static let get = HTTP2Frames.headers(1, HTTP2Frames.get)
  /// A request whose body is to come.
  static let open = HTTP2Frames.headers(1, HTTP2Frames.post, flags: endHeaders)
  /// A request whose field section is to go on.
  static let begun = HTTP2Frames.headers(1, HTTP2Frames.get, flags: endStream)
  static let block = Array(get[9...])
  static let data = HTTP2Frames.data(1, [1])

  static func settings(_ name: UInt8, _ value: UInt32) -> [UInt8] {
    frame(0x4, 0, 0, [0, name] + HTTP2Frames.word(value))
  }

  static func many(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  static let ofConnection: [HTTP2Rule] = [
    HTTP2Rule(
      "3.4: another preface",
      Array("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".utf8),
      .closed,
      hasHello: false
    ),
    HTTP2Rule(
      "3.4: no SETTINGS first",
      HTTP2Frames.preface + HTTP2Frames.ping(),
      .connection(1),
      hasHello: false
    ),
    HTTP2Rule("4.2: DATA over the frame size", open + frame(0, 0, 1, many(16_385)), .connection(6)),
    HTTP2Rule("4.2: HEADERS over the frame size", frame(1, 5, 1, many(16_385)), .connection(6)),
    HTTP2Rule("4.2: SETTINGS over the frame size", frame(4, 0, 0, many(16_386)), .connection(6)),
    HTTP2Rule(
      "4.3: PRIORITY inside a section",
      begun + frame(2, 0, 3, [0, 0, 0, 1, 1]),
      .connection(1)
    ),
    HTTP2Rule(
      "4.3: HEADERS of another stream inside a section",
      begun + HTTP2Frames.headers(3, HTTP2Frames.get),
      .connection(1)
    ),
    HTTP2Rule("5.1: DATA on an idle stream", data, .connection(1)),
    HTTP2Rule("5.1: RST_STREAM on an idle stream", HTTP2Frames.reset(1), .connection(1)),
    HTTP2Rule(
      "5.1: WINDOW_UPDATE on an idle stream",
      HTTP2Frames.windowUpdate(1, 1),
      .connection(1)
    ),
    HTTP2Rule(
      "5.1: CONTINUATION on an idle stream",
      frame(9, endHeaders, 1, block),
      .connection(1)
    ),
    HTTP2Rule(
      "5.1: CONTINUATION on a half-closed stream",
      get + frame(9, endHeaders, 1, block),
      .connection(1)
    ),
    HTTP2Rule(
      "5.1: DATA on a stream that was ended",
      get + HTTP2Frames.data(1, [1], flags: 1),
      .connection(5)
    ),
    HTTP2Rule(
      "5.1: HEADERS on a stream that was ended",
      get + HTTP2Frames.headers(1, HTTP2Frames.get),
      .connection(5)
    ),
    HTTP2Rule(
      "5.1: CONTINUATION on a stream that was reset",
      open + HTTP2Frames.reset(1) + frame(9, endHeaders, 1, block),
      .connection(1)
    ),
    HTTP2Rule("5.1.1: an even number", HTTP2Frames.headers(2, HTTP2Frames.get), .connection(1)),
    HTTP2Rule(
      "5.1.1: a number below one before",
      HTTP2Frames.headers(5, HTTP2Frames.get) + HTTP2Frames.headers(3, HTTP2Frames.get),
      .connection(1)
    ),
    HTTP2Rule(
      "5.5: an unknown frame inside a section",
      begun + frame(0x42, 0, 0, [1]),
      .connection(1)
    ),
    HTTP2Rule("6.1: DATA on stream 0", HTTP2Frames.data(0, [1]), .connection(1)),
    HTTP2Rule(
      "6.1: padding past the frame",
      open + frame(0, padded, 1, [6, 1, 2]),
      .connection(1)
    ),
    HTTP2Rule("6.2: HEADERS on stream 0", frame(1, 5, 0, block), .connection(1)),
    HTTP2Rule(
      "6.2: padding past the frame",
      frame(1, 5 | padded, 1, [255] + block),
      .connection(1)
    ),
    HTTP2Rule("6.3: PRIORITY on stream 0", frame(2, 0, 0, [0, 0, 0, 1, 1]), .connection(1)),
    HTTP2Rule("6.4: RST_STREAM on stream 0", HTTP2Frames.reset(0), .connection(1)),
    HTTP2Rule(
      "6.4: RST_STREAM of another length",
      open + frame(3, 0, 1, [0, 0, 8]),
      .connection(6)
    ),
    HTTP2Rule(
      "6.5: an acknowledgement with content",
      frame(4, 1, 0, [0, 3, 0, 0, 0, 1]),
      .connection(6)
    ),
    HTTP2Rule("6.5: SETTINGS on a stream", frame(4, 0, 1, [0, 3, 0, 0, 0, 1]), .connection(1)),
    HTTP2Rule("6.5: SETTINGS of another length", frame(4, 0, 0, [0, 3, 0, 0, 0]), .connection(6)),
    HTTP2Rule("6.5.2: ENABLE_PUSH of 2", settings(2, 2), .connection(1)),
    HTTP2Rule("6.5.2: a window past its range", settings(4, 0x8000_0000), .connection(3)),
    HTTP2Rule("6.5.2: a frame size below its range", settings(5, 16_383), .connection(1)),
    HTTP2Rule("6.5.2: a frame size past its range", settings(5, 0x0100_0000), .connection(1)),
    HTTP2Rule("RFC 8441 3: ENABLE_CONNECT_PROTOCOL of 2", settings(8, 2), .connection(1)),
    HTTP2Rule(
      "6.6: PUSH_PROMISE of a client",
      open + frame(5, endHeaders, 1, [0, 0, 0, 2] + block),
      .connection(1)
    ),
    HTTP2Rule("6.7: PING on a stream", frame(6, 0, 1, many(8)), .connection(1)),
    HTTP2Rule("6.7: PING of another length", frame(6, 0, 0, many(7)), .connection(6)),
    HTTP2Rule("6.8: GOAWAY on a stream", frame(7, 0, 1, many(8)), .connection(1)),
    HTTP2Rule("6.8: GOAWAY of another length", frame(7, 0, 0, many(7)), .connection(6)),
    HTTP2Rule("6.9: an increment of 0", HTTP2Frames.windowUpdate(0, 0), .connection(1)),
    HTTP2Rule("6.9: WINDOW_UPDATE of another length", frame(8, 0, 0, [0, 0, 1]), .connection(6)),
    HTTP2Rule(
      "6.9.1: the connection's window past its range",
      HTTP2Frames.windowUpdate(0, 0x7FFF_FFFF),
      .connection(3)
    ),
    HTTP2Rule(
      "6.9.2: a stream's window past its range by SETTINGS",
      open + HTTP2Frames.windowUpdate(1, 0x7FFF_0000) + settings(4, 0x7FFF_FFFF),
      .connection(3)
    ),
    HTTP2Rule(
      "6.10: CONTINUATION on stream 0",
      begun + frame(9, endHeaders, 0, []),
      .connection(1)
    ),
    HTTP2Rule(
      "6.10: CONTINUATION behind HEADERS with their end",
      open + frame(9, endHeaders, 1, []),
      .connection(1)
    ),
    HTTP2Rule(
      "6.10: CONTINUATION behind the last one",
      begun + frame(9, endHeaders, 1) + frame(9, endHeaders, 1),
      .connection(1)
    ),
    HTTP2Rule(
      "6.10: CONTINUATION behind DATA",
      open + data + frame(9, endHeaders, 1),
      .connection(1)
    ),
    HTTP2Rule("6.10: DATA inside a section", begun + data, .connection(1)),
  ]

  /// One stream more than may be open, and the ends of the others.
  private static let crowd: [UInt8] = {
    var bytes: [UInt8] = []
    for stream in stride(from: UInt32(1), through: 201, by: 2) {
      bytes += HTTP2Frames.headers(stream, HTTP2Frames.post, flags: endHeaders)
    }
    for stream in stride(from: UInt32(1), to: 201, by: 2) {
      bytes += HTTP2Frames.data(stream, [], flags: endStream)
    }
    return bytes
  }()

  static let ofStreams: [HTTP2Rule] = [
    HTTP2Rule("5.1: DATA on a half-closed stream", get + data, .either(1, streamClosed)),
    HTTP2Rule(
      "5.1: HEADERS on a half-closed stream",
      get + HTTP2Frames.headers(1, [("a", "b")]),
      .either(1, streamClosed)
    ),
    HTTP2Rule(
      "5.1: DATA on a stream that the client reset",
      open + HTTP2Frames.reset(1) + data,
      .either(1, streamClosed)
    ),
    HTTP2Rule(
      "5.1: HEADERS on a stream that the client reset",
      open + HTTP2Frames.reset(1) + open,
      .either(1, streamClosed)
    ),
    HTTP2Rule(
      "RFC 7540 5.3.1: HEADERS that depend on themselves",
      frame(1, 5 | priority, 1, [0, 0, 0, 1, 0] + block),
      .either(1, protocolError)
    ),
    HTTP2Rule(
      "RFC 7540 5.3.1: PRIORITY on itself",
      frame(2, 0, 1, [0, 0, 0, 1, 0]),
      .either(1, protocolError)
    ),
    HTTP2Rule(
      "6.3: PRIORITY of another length",
      frame(2, 0, 1, [0, 0, 0, 3]),
      .either(1, frameSizeError)
    ),
    HTTP2Rule(
      "6.9: a stream's increment of 0",
      open + HTTP2Frames.windowUpdate(1, 0),
      .either(1, protocolError)
    ),
    HTTP2Rule(
      "6.9.1: a stream's window past its range",
      open + HTTP2Frames.windowUpdate(1, 0x7FFF_FFFF),
      .stream(1, flowControlError)
    ),
    HTTP2Rule(
      "5.1.2: streams past the bound",
      crowd,
      .either(201, protocolError)
    ),
  ]
}
