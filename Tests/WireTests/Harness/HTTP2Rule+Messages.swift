/// Rules of messages and of their compression, and what is allowed though it looks odd.
extension HTTP2Rule {
  private static func request(
    _ lines: [(String, String)],
    flags: UInt8 = 5,
    then more: [UInt8] = []
  ) -> [UInt8] { HTTP2Frames.headers(1, lines, flags: flags) + more }

  private static let method = (":method", "GET")
  private static let scheme = (":scheme", "http")
  private static let authority = (":authority", "a")
  private static let path = (":path", "/bad")
  private static let whole = [method, scheme, authority, path]

  private static func malformed(_ description: String, _ bytes: [UInt8]) -> HTTP2Rule {
    HTTP2Rule(description, bytes, .stream(1, protocolError))
  }

  private static func malformed(_ description: String, _ lines: [(String, String)]) -> HTTP2Rule {
    malformed(description, request(lines))
  }

  private static func field(_ name: String, _ value: String) -> HTTP2Rule {
    malformed("8.2: \(name): \(value.debugDescription)", whole + [(name, value)])
  }

  static let ofMessages: [HTTP2Rule] = [
    malformed(
      "8.1: trailers that end nothing",
      open + HTTP2Frames.headers(1, [("a", "b")], flags: endHeaders)
    ),
    malformed("8.3: pseudo-fields in trailers", open + HTTP2Frames.headers(1, [(":path", "/bad")])),
    malformed("8.2: trailers with upper case", open + HTTP2Frames.headers(1, [("A", "b")])),
    field("X-Upper", "1"), field("a b", "1"), field("a:b", "1"), field("", "1"),
    field("a\u{7F}", "1"),
    field("a", "b\rc"), field("a", "b\nc"), field("a", "b\0c"), field("a", " b"), field("a", "b\t"),
    field("connection", "close"), field("connection", "x-a"), field("keep-alive", "1"),
    field("proxy-connection", "close"),
    field("transfer-encoding", "chunked"), field("upgrade", "h2c"), field("te", "gzip"),
    field("te", "trailers, gzip"),
    field("host", "other"), field("content-length", "x"), field("content-length", "-1"),
    field("content-length", "1"),
    malformed("8.3: an unknown pseudo-field", whole + [(":unknown", "1")]),
    malformed("8.3: a pseudo-field of responses", whole + [(":status", "200")]),
    malformed("8.3: a pseudo-field behind a field", [method, scheme, authority, ("a", "b"), path]),
    malformed("8.3.1: no :method", [scheme, authority, path]),
    malformed("8.3.1: no :scheme", [method, authority, path]),
    malformed("8.3.1: no :path", [method, scheme, authority]),
    malformed("8.3.1: an empty :path", [method, scheme, authority, (":path", "")]),
    malformed("8.3.1: :path without a slash", [method, scheme, authority, (":path", "bad")]),
    malformed("8.3.1: :path * of GET", [method, scheme, authority, (":path", "*")]),
    malformed("8.3.1: :method twice", [method] + whole),
    malformed("8.3.1: :scheme twice", [scheme] + whole),
    malformed("8.3.1: :authority twice", [authority] + whole),
    malformed("8.3.1: :path twice", [path] + whole),
    malformed("8.3.1: :authority with user", [method, scheme, (":authority", "u@a"), path]),
    malformed("8.3.1: neither :authority nor host", [method, scheme, path]),
    malformed("8.5: CONNECT with :path", [(":method", "CONNECT"), authority, path]),
    malformed("8.5: CONNECT with :scheme", [(":method", "CONNECT"), scheme, authority]),
    malformed("8.5: CONNECT without :authority", [(":method", "CONNECT")]),
    malformed("8.1.1: content-length without content", whole + [("content-length", "3")]),
    malformed(
      "8.1.1: more than content-length",
      request(
        [(":method", "POST"), scheme, authority, (":path", "/"), ("content-length", "1")],
        flags: endHeaders,
        then: HTTP2Frames.data(1, [1, 2], flags: 1)
      )
    ),
    malformed(
      "8.1.1: less than content-length in two frames",
      request(
        [(":method", "POST"), scheme, authority, (":path", "/"), ("content-length", "3")],
        flags: endHeaders,
        then: data + HTTP2Frames.data(1, [2], flags: 1)
      )
    ),
    malformed(
      "8.1.1: less than content-length, with trailers",
      request(
        [(":method", "POST"), scheme, authority, (":path", "/"), ("content-length", "3")],
        flags: endHeaders,
        then: data + HTTP2Frames.headers(1, [("a", "b")])
      )
    ),
  ]

  private static func coded(_ description: String, _ bytes: [UInt8]) -> HTTP2Rule {
    HTTP2Rule("RFC 7541 \(description)", frame(1, 5, 1, bytes), .connection(compressionError))
  }

  static let ofCompression: [HTTP2Rule] = [
    coded("2.3.3: an index past the tables", block + [0xFF, 0x00]),
    coded("6.1: index 0", block + [0x80]),
    coded("6.2.1: a name's index past the tables", block + [0x7F, 0x20, 1, 0x61]),
    coded("4.2: a table size behind a field", block + [0x20]),
    coded("6.3: a table size past SETTINGS", [0x3F, 0xE2, 0x1F] + block),
    coded("5.1: an integer without end", block + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    coded("5.1: an integer past 32 bits", block + [0x00, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
    coded("5.2: a string past the section", block + [0x00, 0x01, 0x61, 0x7E, 0x61]),
    coded("5.2: Huffman padding of eight bits", block + [0x00, 0x01, 0x61, 0x82, 0x1F, 0xFF]),
    coded("5.2: Huffman padding of zeros", block + [0x00, 0x01, 0x61, 0x81, 0x18]),
    coded("5.2: EOS in a string", block + [0x00, 0x01, 0x61, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]),
    coded("6.2: a field cut off", block + [0x00, 0x01]),
    HTTP2Rule(
      "4.3: a section cut off, in CONTINUATION",
      frame(1, 1, 1, block) + frame(9, 4, 1, [0x00, 0x05, 0x61]),
      .connection(compressionError)
    ),
  ]

  static let allowed: [HTTP2Rule] = [
    HTTP2Rule(
      "4.1: an unknown frame, unknown flags",
      frame(0x42, 0xFF, 0, [1, 2]) + frame(0x42, 0xFF, 9, []),
      .none
    ),
    HTTP2Rule("4.1: unknown flags of PING", frame(6, 0xFE, 0, many(8)), .none),
    HTTP2Rule(
      "4.1: the reserved bit",
      frame(6, 0, 0x8000_0000, many(8)) + frame(1, 5, 0x8000_0001, block),
      .none
    ),
    HTTP2Rule("4.2: DATA of 16,384 bytes", open + frame(0, 1, 1, many(16_384)), .none),
    HTTP2Rule("5.1: PRIORITY on an idle stream", frame(2, 0, 9, [0, 0, 0, 1, 1]), .none),
    HTTP2Rule(
      "5.1: WINDOW_UPDATE, PRIORITY, RST_STREAM behind the end",
      get + HTTP2Frames.windowUpdate(1, 1) + frame(2, 0, 1, [0, 0, 0, 3, 1]),
      .none
    ),
    HTTP2Rule("6.1: padding", open + frame(0, 1 | padded, 1, [2, 1, 0, 0]), .none),
    HTTP2Rule(
      "6.2: padding and priority",
      frame(1, 5 | padded | priority, 1, [2, 0, 0, 0, 0, 1] + block + [0, 0]),
      .none
    ),
    HTTP2Rule("6.5.2: unknown SETTINGS", frame(4, 0, 0, [0xFF, 0xFF, 0, 0, 0, 1]), .none),
    HTTP2Rule(
      "6.5.3: a setting twice in one frame",
      frame(4, 0, 0, [0, 4, 0, 0, 0, 1, 0, 4, 0, 1, 0, 0]),
      .none
    ),
    HTTP2Rule("6.7: a PING answered that nobody sent", frame(6, 1, 0, many(8)), .none),
    HTTP2Rule("6.8: a client's GOAWAY", get + HTTP2Frames.goAway(last: 0), .none),
    HTTP2Rule(
      "6.8: a client's GOAWAY with an unknown code and data",
      get + frame(7, 0, 0, HTTP2Frames.word(0) + HTTP2Frames.word(0xFFFF) + [0x61]),
      .none
    ),
    HTTP2Rule(
      "6.10: empty CONTINUATIONs",
      frame(1, 1, 1, Array(block.prefix(5))) + frame(9, 0, 1)
        + frame(9, 4, 1, Array(block.dropFirst(5))),
      .none
    ),
    HTTP2Rule(
      "7: codes that nobody defined",
      open + frame(3, 0, 1, [0, 0, 0, 0xFF]) + frame(2, 0, 3, [0, 0, 0, 1, 1]),
      .none
    ),
    HTTP2Rule("8.1: trailers", open + data + HTTP2Frames.headers(1, [("a", "b")]), .none),
    HTTP2Rule(
      "8.2.2: te: trailers",
      HTTP2Frames.headers(1, HTTP2Frames.get + [("te", "trailers")]),
      .none
    ),
    HTTP2Rule(
      "8.2.3: several cookie fields",
      HTTP2Frames.headers(1, HTTP2Frames.get + [("cookie", "a=b"), ("cookie", "c=d")]),
      .none
    ),
    HTTP2Rule(
      "8.3.1: OPTIONS of the server",
      HTTP2Frames.headers(1, [(":method", "OPTIONS"), scheme, authority, (":path", "*")]),
      .none
    ),
    HTTP2Rule("RFC 7541 4.2: a smaller table first", frame(1, 5, 1, [0x20] + block), .none),
    HTTP2Rule(
      "RFC 7541 6.1: fields of the static table",
      frame(1, 5, 1, [0x82, 0x86, 0x84, 0x41, 1, 0x61]),
      .none
    ),
    HTTP2Rule(
      "RFC 7541 5.2: Huffman",
      frame(1, 5, 1, [0x82, 0x86, 0x84, 0x41, 0x81, 0x1F]),
      .none
    ),
  ]
}
