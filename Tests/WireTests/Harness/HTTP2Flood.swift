/// Frames that cost more than they should, sent again and again on one connection.
struct HTTP2Flood: Sendable, CustomStringConvertible {
  let description: String
  /// The reason that the edge counts.
  let reason: String
  /// The code of GOAWAY.
  let code: UInt32
  /// Frames after which the session must have ended.
  let most: Int
  /// How often `frames` is asked for: far more than `most` frames, or fewer large ones.
  let count: Int
  let first: [UInt8]
  /// Whether nothing but the reason can end it; else it depends on how much is read at once.
  var isExact: Bool { reason != "provoked-reset" && reason != "protocol" }
  /// Frames of the round with this number.
  let frames: @Sendable (UInt32) -> [UInt8]

  init(
    _ description: String,
    _ reason: String,
    most: Int,
    code: UInt32 = 0xB,
    count: Int = 20_000,
    first: [UInt8] = [],
    _ frames: @escaping @Sendable (UInt32) -> [UInt8]
  ) {
    self.description = description
    self.reason = reason
    self.code = code
    self.most = most
    self.count = count
    self.first = first
    self.frames = frames
  }

  private static let get = HTTP2Frames.get
  private static let post = HTTP2Frames.post
  /// A request whose body is to come.
  private static let open = HTTP2Frames.headers(1, post, flags: HTTP2Frames.endHeaders)

  /// A request that is reset before its client ends it.
  private static let malformed = HTTP2Frames.headers(
    1,
    post + [("connection", "x")],
    flags: HTTP2Frames.endHeaders
  )

  private static func id(_ number: UInt32) -> UInt32 { 2 * number + 1 }

  /// A field section of `get` with `more` behind it, on the stream of this round.
  private static func request(_ number: UInt32, _ more: [UInt8]) -> [UInt8] {
    let block = Array(HTTP2Frames.headers(1, get)[9...])
    return HTTP2Frames.frame(0x1, 0x5, id(number), block + more)
  }

  private static func entry(_ name: String, _ value: [UInt8]) -> [UInt8] {
    [0x40, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.count)] + value
  }

  static let all = resets + madeYouReset + lists + control + data

  private static let resets = [
    HTTP2Flood("rapid reset, CVE-2023-44487", "rapid-reset", most: 2_100) {
      HTTP2Frames.headers(id($0), get) + HTTP2Frames.reset(id($0))
    },
    HTTP2Flood("resets of one stream, CVE-2019-9514", "rapid-reset", most: 1_100, first: open) {
      _ in HTTP2Frames.reset(1)
    },
    HTTP2Flood("streams past the bound", "provoked-reset", most: 700) {
      HTTP2Frames.headers(id($0), get)
    },
  ]

  /// CVE-2025-8671: the server is made to reset.
  private static let madeYouReset = [
    HTTP2Flood("MadeYouReset by a zero increment", "protocol", most: 10, code: 1) {
      HTTP2Frames.headers(id($0), get) + HTTP2Frames.windowUpdate(id($0), 0)
    },
    HTTP2Flood("MadeYouReset by overflow", "provoked-reset", most: 700) {
      HTTP2Frames.headers(id($0), get) + HTTP2Frames.windowUpdate(id($0), 0x7FFF_FFFF)
    },
    HTTP2Flood("MadeYouReset by DATA", "protocol", most: 10, code: 5) {
      HTTP2Frames.headers(id($0), get) + HTTP2Frames.data(id($0), [1])
    },
    HTTP2Flood("MadeYouReset by HEADERS", "protocol", most: 10, code: 5) {
      HTTP2Frames.headers(id($0), get) + HTTP2Frames.headers(id($0), [("a", "b")])
    },
    HTTP2Flood("MadeYouReset by self-dependency", "protocol", most: 10, code: 1) {
      HTTP2Frames.headers(id($0), get)
        + HTTP2Frames.frame(0x2, 0, id($0), HTTP2Frames.word(id($0)) + [0])
    },
    HTTP2Flood("MadeYouReset by PRIORITY's length", "protocol", most: 10, code: 6) {
      HTTP2Frames.headers(id($0), get) + HTTP2Frames.frame(0x2, 0, id($0), [0, 0, 0, 1])
    },
    HTTP2Flood("MadeYouReset by malformed requests", "provoked-reset", most: 700) {
      HTTP2Frames.headers(id($0), get + [("connection", "x")])
    },
    HTTP2Flood("MadeYouReset by bodies", "provoked-reset", most: 1_400) {
      HTTP2Frames.headers(id($0), post + [("content-length", "1")], flags: 4)
        + HTTP2Frames.data(id($0), [1, 2])
    },
  ]

  private static let lists = [
    HTTP2Flood(
      "CONTINUATION, CVE-2024-27316",
      "continuation-flood",
      most: 20,
      first: HTTP2Frames.headers(1, get, flags: 1)
    ) { _ in HTTP2Frames.frame(0x9, 0, 1, [0, 1, 0x61, 1, 0x61]) },
    HTTP2Flood(
      "empty CONTINUATION",
      "continuation-flood",
      most: 20,
      first: HTTP2Frames.headers(1, get, flags: 1)
    ) { _ in HTTP2Frames.frame(0x9, 0, 1) },
    HTTP2Flood("HPACK bomb", "field-flood", most: 10, count: 200) {
      let bomb = [UInt8](repeating: 0xBE, count: 8_000)
      return request($0, $0 == 0 ? entry("x", [UInt8](repeating: 0x61, count: 120)) : bomb)
    },
    HTTP2Flood("HPACK table thrash", "field-flood", most: 800, count: 2_000) { number in
      var entries: [UInt8] = []
      for index in 0..<90 { entries += entry("x-\(number)-\(index)", [0x61]) }
      return request(number, entries) + HTTP2Frames.reset(id(number))
    },
    HTTP2Flood("empty fields, CVE-2019-9516", "field-flood", most: 100, count: 5_000) {
      request($0, [UInt8](repeating: 0, count: 270))
    },
    HTTP2Flood("HPACK references behind a malformed field", "field-flood", most: 10, count: 200) {
      request($0, entry("connection", [0x78]) + [UInt8](repeating: 0xBE, count: 8_000))
    },
    HTTP2Flood(
      "HPACK references on a stream that was reset",
      "field-flood",
      most: 30,
      count: 200,
      first: malformed
    ) { _ in HTTP2Frames.frame(0x1, 0x4, 1, [UInt8](repeating: 0x82, count: 8_000)) },
    HTTP2Flood("HEADERS on a stream that was reset", "field-flood", most: 11_000, first: malformed)
    {
      _ in HTTP2Frames.headers(1, [("a", "b")], flags: HTTP2Frames.endHeaders)
    },
  ]

  private static let control = [
    HTTP2Flood("PING, CVE-2019-9512", "ping-flood", most: 600) { _ in HTTP2Frames.ping() },
    HTTP2Flood("PING acknowledgements", "ping-flood", most: 600) { _ in
      HTTP2Frames.frame(0x6, 1, 0, [1, 2, 3, 4, 5, 6, 7, 8])
    },
    HTTP2Flood("SETTINGS, CVE-2019-9515", "settings-flood", most: 100) { _ in
      HTTP2Frames.frame(0x4, 0, 0)
    },
    HTTP2Flood("PRIORITY, CVE-2019-9513", "priority-flood", most: 600) {
      HTTP2Frames.frame(0x2, 0, id($0), [0, 0, 0, 0, 16])
    },
    HTTP2Flood("PRIORITY_UPDATE", "priority-flood", most: 600) {
      HTTP2Frames.frame(0x10, 0, 0, HTTP2Frames.word(id($0)) + Array("u=1".utf8))
    },
    HTTP2Flood("WINDOW_UPDATE", "window-update-flood", most: 1_100) { _ in
      HTTP2Frames.windowUpdate(0, 1)
    },
    HTTP2Flood(
      "dribbled windows, CVE-2019-9511",
      "window-update-flood",
      most: 1_100,
      first: HTTP2Frames.frame(0x4, 0, 0, [0, 4, 0, 0, 0, 0]) + HTTP2Frames.headers(1, get)
    ) { _ in HTTP2Frames.windowUpdate(1, 1) },
    HTTP2Flood("unknown frames", "unknown-frame-flood", most: 300) { _ in
      HTTP2Frames.frame(0x42, 0, 0, [1])
    },
  ]

  private static let data = [
    HTTP2Flood("empty DATA, CVE-2019-9518", "empty-frame-flood", most: 200, first: open) { _ in
      HTTP2Frames.data(1, [])
    },
    HTTP2Flood("DATA of padding", "empty-frame-flood", most: 200, first: open) { _ in
      HTTP2Frames.data(1, [4, 0, 0, 0, 0], flags: 0x8)
    },
    HTTP2Flood("DATA of one byte", "tiny-frame-flood", most: 11_000, first: open) { _ in
      HTTP2Frames.data(1, [0x61])
    },
  ]
}
