/// Frames of HTTP/2 built by hand, for what no library would send.
enum HTTP2Frames {
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  static let endStream: UInt8 = 0x1
  static let endHeaders: UInt8 = 0x4
  static let acknowledgement: UInt8 = 0x1

  /// The preface and empty SETTINGS: what a client must begin with.
  static var hello: [UInt8] { preface + frame(0x4, 0, 0) }

  static let get: [(String, String)] = [
    (":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"),
  ]
  static let post: [(String, String)] = [
    (":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/"),
  ]

  static func frame(
    _ kind: UInt8,
    _ flags: UInt8,
    _ stream: UInt32,
    _ payload: [UInt8] = []
  ) -> [UInt8] {
    word(UInt32(payload.count))[1...] + [kind, flags] + word(stream) + payload
  }

  static func word(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
  }

  static func headers(
    _ stream: UInt32,
    _ lines: [(String, String)],
    flags: UInt8 = endStream | endHeaders
  ) -> [UInt8] {
    frame(0x1, flags, stream, lines.flatMap { [0] + string($0.0) + string($0.1) })
  }

  static func continuation(_ stream: UInt32, _ lines: [(String, String)]) -> [UInt8] {
    frame(0x9, 0, stream, lines.flatMap { [0] + string($0.0) + string($0.1) })
  }

  /// A string of RFC 7541 section 5.2, below 127 bytes and not Huffman-coded.
  private static func string(_ text: String) -> [UInt8] {
    [UInt8(text.utf8.count)] + Array(text.utf8)
  }

  static func data(_ stream: UInt32, _ bytes: [UInt8], flags: UInt8 = 0) -> [UInt8] {
    frame(0x0, flags, stream, bytes)
  }

  static func goAway(last: UInt32, code: UInt32 = 0) -> [UInt8] {
    frame(0x7, 0, 0, word(last) + word(code))
  }
  static func reset(_ stream: UInt32) -> [UInt8] { frame(0x3, 0, stream, word(8)) }
  static func ping() -> [UInt8] { frame(0x6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]) }
  static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] {
    frame(0x8, 0, stream, word(increment))
  }

  /// A frame that came.
  struct Received {
    var kind: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: [UInt8]
  }

  /// Reads whole frames out of what came.
  static func parse(_ bytes: [UInt8]) -> [Received] {
    var frames: [Received] = []
    var at = 0
    while at + 9 <= bytes.count {
      let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
      guard at + 9 + length <= bytes.count else { break }
      let stream = bytes[(at + 5)..<(at + 9)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      frames.append(
        Received(
          kind: bytes[at + 3],
          flags: bytes[at + 4],
          stream: stream,
          payload: Array(bytes[(at + 9)..<(at + 9 + length)])
        )
      )
      at += 9 + length
    }
    return frames
  }

  /// The code of the last GOAWAY that is not NO_ERROR, or of the last one, `nil` without any.
  static func goAway(in bytes: [UInt8]) -> UInt32? {
    let codes = parse(bytes).filter { $0.kind == 0x7 && $0.payload.count >= 8 }.map { frame in
      frame.payload[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    return codes.last { $0 != 0 } ?? codes.last
  }

  /// The code of the RST_STREAM for a stream, `nil` without one.
  static func reset(of stream: UInt32, in bytes: [UInt8]) -> UInt32? {
    parse(bytes).first { $0.kind == 0x3 && $0.stream == stream }.map { frame in
      frame.payload.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
  }
}
