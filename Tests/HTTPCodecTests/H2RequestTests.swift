import HTTPCodec
import Testing

/// Requests that must not be passed on, one clause each, sent as raw frames.
struct H2RequestTests {
  /// What became of a request.
  private struct Verdict: Equatable {
    var fault: H2HeadFault?
    var reset: UInt32?
    var wasDelivered: Bool
  }

  private func send(
    _ lines: [(String, String)],
    _ more: [UInt8] = [],
    flags: UInt8 = H2Frames.endStream | H2Frames.endHeaders,
    with settings: H2Settings = H2Settings()
  ) -> Verdict {
    verdict(H2Frames.headers(1, lines, flags: flags) + more, settings)
  }

  private func verdict(_ bytes: [UInt8], _ settings: H2Settings = H2Settings()) -> Verdict {
    let server = H2Peer(isServer: true, settings)
    let notes = server.receive(H2Frames.hello + bytes)
    var fault: H2HeadFault?
    for case .malformed(let found) in notes { fault = found }
    let wasDelivered = notes.contains {
      if case .request = $0 { true } else { false }
    }
    return Verdict(fault: fault, reset: server.send().resets[1], wasDelivered: wasDelivered)
  }

  /// Malformed: reset with PROTOCOL_ERROR and not delivered.
  private func malformed(_ fault: H2HeadFault) -> Verdict {
    Verdict(fault: fault, reset: 1, wasDelivered: false)
  }

  private let get = H2Frames.get
  private let open = H2Frames.endHeaders

  @Test func `a whole request is delivered`() {
    #expect(send(get) == Verdict(fault: nil, reset: nil, wasDelivered: true))
  }

  // MARK: - RFC 9113 section 8.2.1

  @Test(arguments: ["\r", "\n", "\0", "\u{1}", "\u{7F}", "\r\nx-evil: 1"])
  func `a control character in a value is malformed (8.2.1)`(_ text: String) {
    #expect(send(get + [("x-a", "b" + text + "c")]) == malformed(.malformedFieldValue))
  }

  @Test(arguments: ["\r", "\n", "\0", " ", ":", "é", "(", "\u{7F}"])
  func `a byte that is no token character in a name is malformed (8.2.1)`(_ text: String) {
    #expect(send(get + [("x" + text + "a", "b")]) == malformed(.malformedFieldName))
  }

  @Test(arguments: ["X-a", "x-A", "Host", "Content-Length", "conteNt-type", "Cookie"])
  func `a capital letter in a name is malformed (8.2.1)`(_ name: String) {
    #expect(send(get + [(name, "1")]) == malformed(.capitalFieldName))
  }

  @Test(arguments: [" a", "a ", "\ta", "a\t", " "])
  func `whitespace around a value is malformed (8.2.1)`(_ value: String) {
    #expect(send(get + [("x-a", value)]) == malformed(.paddedFieldValue))
  }

  @Test func `an empty name is malformed (8.2.1)`() {
    #expect(send(get + [("", "a")]) == malformed(.malformedFieldName))
  }

  // MARK: - RFC 9113 section 8.2.2

  @Test(
    arguments: [
      ("connection", "close"), ("keep-alive", "timeout=5"), ("proxy-connection", "close"),
      ("transfer-encoding", "chunked"), ("upgrade", "h2c"),
    ]
  )
  func `a connection-specific field is malformed (8.2.2)`(_ line: (String, String)) {
    #expect(send(get + [line]) == malformed(.connectionSpecificField))
  }

  @Test(arguments: ["gzip", "trailers, gzip", "trailers;q=1", ""])
  func `te other than trailers is malformed (8.2.2)`(_ value: String) {
    #expect(send(get + [("te", value)]) == malformed(.malformedTE))
  }

  @Test func `te trailers is accepted (8.2.2)`() {
    #expect(send(get + [("te", "trailers")]).wasDelivered)
  }

  // MARK: - RFC 9113 section 8.3

  @Test func `a pseudo-header field behind a regular one is malformed (8.3)`() {
    let lines = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("accept", "*/*")]
    #expect(send(lines + [(":authority", "a")]) == malformed(.latePseudoField))
  }

  @Test(arguments: 0..<4)
  func `a pseudo-header field twice is malformed (8.3)`(_ index: Int) {
    #expect(send(get + [get[index]]) == malformed(.repeatedPseudoField))
  }

  @Test(arguments: [":status", ":foo", ":", ":Method", ":PATH", ":protocols"])
  func `an unknown pseudo-header field is malformed (8.3)`(_ name: String) {
    #expect(send([(name, "200")] + get) == malformed(.unknownPseudoField))
  }

  @Test(arguments: [0, 1, 3])
  func `a missing pseudo-header field is malformed (8.3.1)`(_ index: Int) {
    var lines = get
    lines.remove(at: index)
    #expect(send(lines) == malformed(.missingPseudoField))
  }

  @Test func `an empty section is malformed (8.3.1)`() {
    #expect(send([]) == malformed(.missingPseudoField))
  }

  @Test(arguments: ["", "/ a", "/\ta", "/\0", "/\r\n", "a", "*", "/a#b", "/é", "http://a/"])
  func `a path that is none is malformed (8.3.1)`(_ path: String) {
    let lines = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
    #expect(send(lines) == malformed(.malformedPath))
  }

  @Test func `an asterisk is for OPTIONS (8.3.1)`() {
    let lines = [(":scheme", "http"), (":authority", "a"), (":path", "*")]
    #expect(send([(":method", "OPTIONS")] + lines).wasDelivered)
  }

  @Test(arguments: ["", "G T", "GET\r", "GÉT", String(repeating: "G", count: 33)])
  func `a method that is none is malformed (8.3.1)`(_ method: String) {
    let lines = [(":scheme", "http"), (":authority", "a"), (":path", "/")]
    #expect(send([(":method", method)] + lines) == malformed(.malformedMethod))
  }

  @Test(arguments: ["", "ftp", "http ", "httpss"])
  func `a scheme that is none of HTTP's is malformed (8.3.1)`(_ scheme: String) {
    let lines = [(":method", "GET"), (":authority", "a"), (":path", "/")]
    #expect(send([(":scheme", scheme)] + lines) == malformed(.malformedScheme))
  }

  @Test(arguments: ["u@a", "u:p@a", "", "a b", "a:", "a:x", "a:70000", "a/b", "[::1", "a\0"])
  func `an authority that names no host is malformed (8.3.1)`(_ authority: String) {
    let lines = [(":method", "GET"), (":scheme", "http"), (":path", "/")]
    #expect(send(lines + [(":authority", authority)]) == malformed(.malformedAuthority))
  }

  @Test func `a request without authority is malformed (8.3.1)`() {
    let lines = [(":method", "GET"), (":scheme", "http"), (":path", "/")]
    #expect(send(lines) == malformed(.missingAuthority))
    #expect(send(lines + [("host", "a")]).wasDelivered)
  }

  @Test(arguments: ["b", "a:81", "aa", "a:443"])
  func `a Host that differs from the authority is malformed (8.3.1)`(_ host: String) {
    #expect(send(get + [("host", host)]) == malformed(.disagreeingHost))
  }

  @Test(arguments: ["a", "A", "a:80"])
  func `a Host that agrees with the authority is said once (8.3.1)`(_ host: String) {
    let server = H2Peer(isServer: true)
    server.receive(
      H2Frames.hello + H2Frames.headers(1, get + [("x-b", "c"), ("host", host), ("x-d", "e")])
    )
    #expect(server.requests[1]?.lines == ["host=a", "x-b=c", "x-d=e"])
    #expect(
      server.requests[1]?.text == "GET / HTTP/1.1\r\nhost: a\r\nx-b: c\r\nx-d: e\r\n\r\n"
    )
  }

  @Test func `a second Host is malformed`() {
    let lines = [(":method", "GET"), (":scheme", "http"), (":path", "/")]
    #expect(send(lines + [("host", "a"), ("host", "a")]) == malformed(.repeatedHost))
    #expect(send(get + [("host", "a"), ("host", "a")]) == malformed(.repeatedHost))
  }

  // MARK: - RFC 9113 section 8.1.1

  @Test(arguments: ["", "-1", "+1", "1 ", "0x1", "1,1", "99999999999999999999", "é"])
  func `a Content-Length that is no number is malformed (8.1.1)`(_ value: String) {
    let found = send(get + [("content-length", value)])
    #expect(!found.wasDelivered)
    #expect(found.reset == 1)
    #expect([.malformedContentLength, .paddedFieldValue].contains(found.fault))
  }

  @Test func `a second Content-Length is malformed (8.1.1)`() {
    let lines = [("content-length", "0"), ("content-length", "0")]
    #expect(send(get + lines) == malformed(.repeatedContentLength))
  }

  @Test func `a Content-Length without a body is malformed (8.1.1)`() {
    #expect(send(get + [("content-length", "1")]) == malformed(.disagreeingContentLength))
  }

  @Test func `more bytes than Content-Length reset the stream (8.1.1)`() {
    let found = send(
      H2Frames.post + [("content-length", "2")],
      H2Frames.data(1, Array("abc".utf8)),
      flags: open
    )
    #expect(found.fault == .disagreeingContentLength)
    #expect(found.reset == 1)
  }

  @Test func `fewer bytes than Content-Length reset the stream (8.1.1)`() {
    let server = H2Peer(isServer: true)
    let notes = server.receive(
      H2Frames.hello
        + H2Frames.headers(1, H2Frames.post + [("content-length", "4")], flags: open)
        + H2Frames.data(1, Array("abc".utf8), flags: H2Frames.endStream)
    )
    #expect(notes.contains(.malformed(.disagreeingContentLength)))
    #expect(notes.contains(.data(1, "abc", isLast: false)))
    #expect(server.send().resets == [1: 1])
  }

  @Test func `fewer bytes than Content-Length before trailers reset the stream (8.1.1)`() {
    let found = send(
      H2Frames.post + [("content-length", "4")],
      H2Frames.data(1, Array("abc".utf8)) + H2Frames.headers(1, [("x-a", "b")]),
      flags: open
    )
    #expect(found.fault == .disagreeingContentLength)
    #expect(found.reset == 1)
  }

  // MARK: - Trailers

  @Test func `trailers that do not end the stream are malformed (8.1)`() {
    let found = send(H2Frames.post, H2Frames.headers(1, [("x-a", "b")], flags: open), flags: open)
    #expect(found.fault == .misplacedEnd)
    #expect(found.reset == 1)
  }

  @Test(arguments: [":path", ":status", "content-length", "host", "te", "transfer-encoding"])
  func `a field that routes or frames is malformed in trailers (8.1)`(_ name: String) {
    let found = send(H2Frames.post, H2Frames.headers(1, [(name, "1")]), flags: open)
    #expect(found.fault == .forbiddenTrailer)
    #expect(found.reset == 1)
  }

  @Test func `empty trailers are a section without fields`() {
    let server = H2Peer(isServer: true)
    let notes = server.receive(
      H2Frames.hello + H2Frames.headers(1, H2Frames.post, flags: open) + H2Frames.headers(1, [])
    )
    #expect(notes.contains(.trailers(1, [])))
  }

  // MARK: - CONNECT

  @Test func `CONNECT is malformed unless enabled (8.5)`() {
    let lines = [(":method", "CONNECT"), (":authority", "a:443")]
    #expect(send(lines) == malformed(.connectNotEnabled))
    #expect(send(lines, flags: open, with: H2Settings(allowsConnect: true)).wasDelivered)
  }

  @Test func `CONNECT with a path, or without a port, is malformed (8.5)`() {
    let settings = H2Settings(allowsConnect: true)
    let lines = [(":method", "CONNECT")]
    #expect(
      send(lines + [(":authority", "a:1"), (":path", "/")], with: settings)
        == malformed(.malformedConnect)
    )
    #expect(send(lines + [(":authority", "a")], with: settings) == malformed(.malformedConnect))
    #expect(send(lines, with: settings) == malformed(.malformedConnect))
  }

  @Test func `extended CONNECT is malformed unless enabled (RFC 8441)`() {
    let lines = [(":method", "CONNECT"), (":protocol", "websocket")] + get[1...]
    #expect(send(lines) == malformed(.malformedProtocol))
    #expect(send([(":protocol", "websocket")] + get) == malformed(.malformedProtocol))
  }

  @Test func `extended CONNECT has a protocol and a path (RFC 8441)`() {
    let server = H2Peer(isServer: true, H2Settings(allowsExtendedConnect: true))
    let lines = [(":method", "CONNECT"), (":protocol", "websocket")] + get[1...]
    server.receive(H2Frames.hello + H2Frames.headers(1, lines, flags: open))
    #expect(server.requests[1]?.protocolName == "websocket")
    #expect(server.requests[1]?.path == "/")
    #expect(server.requests[1]?.head.method == .connect)
    #expect(server.requests[1]?.head.form == .origin)
    let settings = H2Frame.read(server.send()).first?.payload ?? []
    let entry = [UInt8]([0, 8, 0, 0, 0, 1])
    #expect(settings.indices.contains { settings[$0...].starts(with: entry) })
  }

  // MARK: - Cookies and bounds

  @Test func `crumbs of a cookie are joined, wherever they stand (8.2.3)`() {
    let server = H2Peer(isServer: true)
    let lines = [
      ("x-a", "1"), ("cookie", "a=b"), ("x-b", "2"), ("cookie", "c=d"), ("x-c", "3"),
      ("cookie", "e=f"),
    ]
    server.receive(H2Frames.hello + H2Frames.headers(1, get + lines))
    #expect(
      server.requests[1]?.lines == ["host=a", "x-a=1", "cookie=a=b; c=d; e=f", "x-b=2", "x-c=3"]
    )
    #expect(
      server.requests[1]?.text == "GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\n"
        + "cookie: a=b; c=d; e=f\r\nx-b: 2\r\nx-c: 3\r\n\r\n"
    )
  }

  @Test func `crumbs that move Host move what is believed of it`() throws {
    let server = H2Peer(isServer: true)
    let withoutAuthority = get.filter { $0.0 != ":authority" }
    let host = String(repeating: "h", count: 30)
    let lines = [
      ("x", "GET /admin HTTP/1.0"), ("cookie", "a"), ("content-length", "3"), ("host", host),
      ("cookie", String(repeating: "C", count: 34)),
    ]
    server.receive(H2Frames.hello + H2Frames.headers(1, withoutAuthority + lines, flags: 4))

    let copy = try #require(server.requests[1])
    let start = Int(copy.head.authorityStart)
    let named = Array(copy.text.utf8)[start..<start + Int(copy.head.authorityLength)]
    #expect(String(decoding: named, as: UTF8.self) == host)
  }

  @Test func `a list over its bound in bytes is answered with 431`() {
    let server = H2Peer(isServer: true)
    let text = String(repeating: "b", count: 8_000)
    let lines = get + [("x-a", text), ("x-b", text)]
    let notes = server.receive(H2Frames.hello + H2Frames.headers(1, lines))
    #expect(server.requests[1]?.head.fieldCount == 3, "each field counts 32 bytes more (6.5.2)")
    #expect(notes.count == 2)

    server.receive(
      H2Frames.headers(3, lines, flags: H2Frames.endStream)
        + H2Frames.continuation(3, H2Frames.block([("x-c", text)]), flags: H2Frames.endHeaders)
    )
    #expect(server.requests[3] == nil)
    #expect(server.notes.last == .oversized(3, .headTooLarge))
    #expect(H2HeadFault.headTooLarge.status == 431)
    server.respond(3, 431)
    #expect(H2Frame.read(server.send()).contains { $0.stream == 3 && $0.kind == 1 })
  }

  @Test func `a list over its bound in fields is answered with 431`() {
    let server = H2Peer(isServer: true, H2Settings(limits: HeadLimits(maximumFields: 8)))
    let lines = get + (0..<7).map { ("x-\($0)", "1") }
    server.receive(H2Frames.hello + H2Frames.headers(1, lines))
    #expect(server.requests[1]?.head.fieldCount == 8, "Host is one of them")
    server.receive(H2Frames.headers(3, lines + [("x-8", "1")]))
    #expect(server.notes.last == .oversized(3, .tooManyFields))
  }

  @Test func `a path over its bound is answered with 414`() {
    let lines = [(":method", "GET"), (":scheme", "http"), (":authority", "a")]
    let server = H2Peer(isServer: true)
    let notes = server.receive(
      H2Frames.hello + H2Frames.headers(1, lines + [(":path", "/" + longText)])
    )
    #expect(notes.contains(.oversized(1, .pathTooLong)))
    #expect(H2HeadFault.pathTooLong.status == 414)
  }

  @Test func `HEAD is known of an oversized request, wherever it says so`() {
    let server = H2Peer(isServer: true, H2Settings(limits: HeadLimits(maximumFields: 4)))
    server.receive(H2Frames.hello)
    let method = (":method", "HEAD")
    let rest = [(":scheme", "http"), (":authority", "a")]
    let path = [(":path", "/")]
    let long = [(":path", "/" + longText)]
    let longer = [(":path", "/" + longText + longText)]
    let fields = (0..<5).map { ("x-\($0)", "1") }
    let requests = [
      [method] + rest + path + fields, rest + path + [method] + fields, [method] + rest + long,
      rest + long + [method], rest + longer + [method], [method] + rest + longer,
    ]
    for (index, lines) in requests.enumerated() {
      server.receive(H2Frames.headers(UInt32(2 * index + 1), lines))
    }
    let other = [(":method", "HEAR")] + rest + path + fields
    server.receive(H2Frames.headers(UInt32(2 * requests.count + 1), other))

    #expect(server.oversizedHeads == requests.map { _ in true } + [false])
  }

  private let longText = String(repeating: "p", count: 8_001)
}
