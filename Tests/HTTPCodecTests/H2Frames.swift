/// Frames built by hand, for what nghttp2 would never send.
enum H2Frames {
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  static let endStream: UInt8 = 0x1
  static let acknowledgement: UInt8 = 0x1
  static let endHeaders: UInt8 = 0x4
  static let padded: UInt8 = 0x8
  static let priorityFlag: UInt8 = 0x20

  static func frame(
    _ kind: UInt8,
    _ flags: UInt8,
    _ stream: UInt32,
    _ payload: [UInt8] = []
  ) -> [UInt8] {
    let length = UInt32(payload.count)
    return word(length)[1...] + [kind, flags] + word(stream) + payload
  }

  static func word(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
  }

  /// The preface and empty SETTINGS: what a client must begin with.
  static var hello: [UInt8] { preface + settings() }

  static func settings(_ entries: [(UInt16, UInt32)] = [], flags: UInt8 = 0) -> [UInt8] {
    var payload: [UInt8] = []
    for (name, value) in entries {
      payload += [UInt8(name >> 8), UInt8(truncatingIfNeeded: name)] + word(value)
    }
    return frame(0x4, flags, 0, payload)
  }

  static func data(_ stream: UInt32, _ bytes: [UInt8], flags: UInt8 = 0) -> [UInt8] {
    frame(0x0, flags, stream, bytes)
  }

  static func headers(
    _ stream: UInt32,
    _ lines: [(String, String)],
    flags: UInt8 = endStream | endHeaders
  ) -> [UInt8] {
    frame(0x1, flags, stream, block(lines))
  }

  static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] {
    frame(0x3, 0, stream, word(code))
  }

  static func ping(_ flags: UInt8 = 0) -> [UInt8] {
    frame(0x6, flags, 0, [1, 2, 3, 4, 5, 6, 7, 8])
  }

  static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] {
    frame(0x8, 0, stream, word(increment))
  }

  static func continuation(_ stream: UInt32, _ bytes: [UInt8], flags: UInt8 = 0) -> [UInt8] {
    frame(0x9, flags, stream, bytes)
  }

  /// A whole GET.
  static let get: [(String, String)] = [
    (":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"),
  ]
  static let post: [(String, String)] = [
    (":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/"),
  ]

  /// Lines as literals that are not indexed and not Huffman-coded (RFC 7541 section 6.2.2).
  static func block(_ lines: [(String, String)]) -> [UInt8] {
    lines.flatMap { literal(Array($0.0.utf8), Array($0.1.utf8)) }
  }

  static func literal(_ name: [UInt8], _ value: [UInt8], prefix: UInt8 = 0) -> [UInt8] {
    [prefix] + string(name) + string(value)
  }

  static func string(_ bytes: [UInt8]) -> [UInt8] { integer(bytes.count, 7, 0) + bytes }

  /// An integer with a prefix of `bits` bits (RFC 7541 section 5.1).
  static func integer(_ value: Int, _ bits: Int, _ first: UInt8) -> [UInt8] {
    let most = (1 << bits) - 1
    if value < most { return [first | UInt8(value)] }
    var result = [first | UInt8(most)]
    var left = value - most
    while left >= 128 {
      result.append(UInt8(left & 127) | 128)
      left >>= 7
    }
    return result + [UInt8(left)]
  }
}

/// A frame read back.
struct H2Frame: Equatable {
  var kind: UInt8
  var flags: UInt8
  var stream: UInt32
  var payload: [UInt8]

  static func read(_ bytes: [UInt8]) -> [H2Frame] {
    var frames: [H2Frame] = []
    var at = bytes.starts(with: H2Frames.preface) ? 24 : 0
    while at + 9 <= bytes.count {
      let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
      guard at + 9 + length <= bytes.count else { break }
      frames.append(
        H2Frame(
          kind: bytes[at + 3],
          flags: bytes[at + 4],
          stream: word(bytes, at + 5),
          payload: Array(bytes[at + 9..<at + 9 + length])
        )
      )
      at += 9 + length
    }
    return frames
  }

  static func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
    bytes[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// The code of RST_STREAM or GOAWAY.
  var code: UInt32? {
    switch kind {
    case 0x3: Self.word(payload, 0)
    case 0x7: Self.word(payload, 4)
    default: nil
    }
  }
}

extension [UInt8] {
  /// Codes of RST_STREAM in these frames, by stream.
  var resets: [UInt32: UInt32] {
    var result: [UInt32: UInt32] = [:]
    for frame in H2Frame.read(self) where frame.kind == 0x3 { result[frame.stream] = frame.code }
    return result
  }

  /// The code of the last GOAWAY in these frames.
  var goAway: UInt32? { H2Frame.read(self).last { $0.kind == 0x7 }?.code }
}
