import HTTPCodec
import Testing

/// Responses that must not be passed on, one clause each, sent as raw frames.
struct H2ResponseTests {
  private struct Verdict: Equatable {
    var fault: H2HeadFault?
    var reset: UInt32?
    var status: Int?
  }

  private func send(
    _ lines: [(String, String)],
    _ more: [UInt8] = [],
    to method: String = "GET",
    flags: UInt8 = H2Frames.endStream | H2Frames.endHeaders
  ) -> Verdict {
    let client = H2Peer(isServer: false)
    _ = client.request(method)
    _ = client.send()
    let notes = client.receive(
      H2Frames.settings() + H2Frames.headers(1, lines, flags: flags) + more
    )
    var verdict = Verdict()
    for note in notes {
      if case .malformed(let fault) = note { verdict.fault = fault }
      if case .response(_, let status, _, _) = note { verdict.status = status }
    }
    verdict.reset = client.send().resets[1]
    return verdict
  }

  private func malformed(_ fault: H2HeadFault) -> Verdict {
    Verdict(fault: fault, reset: 1, status: nil)
  }

  private let ok = [(":status", "200")]
  private let open = H2Frames.endHeaders

  @Test func `a whole response is delivered`() {
    #expect(send(ok + [("server", "x")]) == Verdict(fault: nil, reset: nil, status: 200))
  }

  @Test(arguments: ["", "20", "2000", "abc", "099", "600", "101", "+20", " 200"])
  func `a status that is none is malformed (8.3.2)`(_ status: String) {
    #expect(send([(":status", status)]) == malformed(.malformedStatus))
  }

  @Test func `a missing, repeated or late status is malformed (8.3.2)`() {
    #expect(send([("server", "x")]) == malformed(.missingPseudoField))
    #expect(send([]) == malformed(.missingPseudoField))
    #expect(send(ok + ok) == malformed(.repeatedPseudoField))
    #expect(send(ok + [("server", "x")] + ok) == malformed(.latePseudoField))
  }

  @Test(arguments: [":path", ":method", ":Status", ":foo"])
  func `a pseudo-header field of requests is malformed (8.3.2)`(_ name: String) {
    #expect(send(ok + [(name, "/")]) == malformed(.unknownPseudoField))
  }

  @Test(
    arguments: [
      ("connection", "close"), ("keep-alive", "timeout=5"), ("proxy-connection", "close"),
      ("transfer-encoding", "chunked"), ("upgrade", "h2c"),
    ]
  )
  func `a connection-specific field is malformed (8.2.2)`(_ line: (String, String)) {
    #expect(send(ok + [line]) == malformed(.connectionSpecificField))
  }

  @Test(arguments: ["a\r\nset-cookie: b", "a\0", "a\n"])
  func `a control character in a value is malformed (8.2.1)`(_ value: String) {
    #expect(send(ok + [("x-a", value)]) == malformed(.malformedFieldValue))
  }

  @Test func `a capital letter in a name is malformed (8.2.1)`() {
    #expect(send(ok + [("Server", "x")]) == malformed(.capitalFieldName))
  }

  @Test func `more bytes than Content-Length reset the stream (8.1.1)`() {
    let found = send(
      ok + [("content-length", "2")],
      H2Frames.data(1, Array("abc".utf8)),
      flags: open
    )
    #expect(found == Verdict(fault: .disagreeingContentLength, reset: 1, status: 200))
  }

  @Test func `fewer bytes than Content-Length reset the stream (8.1.1)`() {
    let found = send(
      ok + [("content-length", "4")],
      H2Frames.data(1, Array("abc".utf8), flags: H2Frames.endStream),
      flags: open
    )
    #expect(found == Verdict(fault: .disagreeingContentLength, reset: 1, status: 200))
  }

  @Test func `a Content-Length without a body is malformed but for HEAD, 204 and 304`() {
    let lines = [("content-length", "4")]
    #expect(send(ok + lines) == malformed(.disagreeingContentLength))
    #expect(send(ok + lines, to: "HEAD").status == 200)
    #expect(send([(":status", "304")] + lines).status == 304)
  }

  @Test func `a body in the answer to HEAD resets the stream`() {
    let found = send(ok, H2Frames.data(1, [0x61]), to: "HEAD", flags: open)
    #expect(found == Verdict(fault: .unexpectedBody, reset: 1, status: 200))
  }

  @Test func `an interim response that ends the stream is malformed (8.1)`() {
    #expect(send([(":status", "103")]) == malformed(.misplacedEnd))
  }

  @Test func `a body behind an interim response resets the stream (8.1)`() {
    let found = send([(":status", "103")], H2Frames.data(1, [0x61]), flags: open)
    #expect(found == malformed(.unexpectedBody))
  }

  @Test func `the end behind an interim response resets the stream (8.1)`() {
    let found = send(
      [(":status", "103")],
      H2Frames.data(1, [], flags: H2Frames.endStream),
      flags: open
    )
    #expect(found == malformed(.unexpectedBody))
  }

  @Test func `trailers that do not end the stream are malformed (8.1)`() {
    let found = send(ok, H2Frames.headers(1, [("x-a", "b")], flags: open), flags: open)
    #expect(found == Verdict(fault: .misplacedEnd, reset: 1, status: 200))
  }

  @Test func `an oversized head resets the stream`() {
    let lines = (0..<200).map { ("x-\($0)", "1") }
    #expect(send(ok + lines) == malformed(.tooManyFields))
  }

  @Test func `a response laid out as HTTP/1.1 has offsets that a stage can use`() {
    let client = H2Peer(isServer: false)
    _ = client.request()
    _ = client.send()
    var head: ResponseHead?
    var text = ""
    let bytes =
      H2Frames.settings()
      + H2Frames.headers(1, ok + [("content-length", "3"), ("server", "x")], flags: open)
    bytes.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      _ = client.session.receive(start, count: bytes.count, at: client.now)
      while let event = client.session.nextEvent() {
        guard event.kind == .response else { continue }
        let response = client.workspace.response(event)
        head = response.head
        let count = Int(response.head.headLength)
        text = String(
          decoding: UnsafeBufferPointer(start: response.bytes, count: count),
          as: UTF8.self
        )
      }
    }

    #expect(text == "HTTP/1.1 200 \r\ncontent-length: 3\r\nserver: x\r\n\r\n")
    #expect(head?.framing == .length)
    #expect(head?.contentLength == 3)
    #expect(head?.fieldsStart == 15)
    #expect(head?.reasonLength == 0)
  }
}
