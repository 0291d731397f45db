import HTTPCodec
import Testing

struct ResponseParserTests {
  private static let valid: [String] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 \r\n\r\n",
    "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 404 Not \t Found \u{E9}\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 599 x\r\nServer: y\r\nDate: z\r\n\r\n",
  ]

  private static let refused: [RefusedSample] = [
    .init("empty line first", "\r\nHTTP/1.1 200 OK\r\n", .malformedVersion),
    .init("other protocol", "ICY 200 OK\r\n", .malformedVersion),
    .init("lower case version", "http/1.1 200 OK\r\n", .malformedVersion),
    .init("HTTP/0.9 body", "<html>", .malformedVersion),
    .init("HTTP/2", "HTTP/2.0 200 OK\r\n", .unsupportedVersion),
    .init("two spaces", "HTTP/1.1  200 OK\r\n", .malformedStatusLine),
    .init("no space", "HTTP/1.1200 OK\r\n", .malformedStatusLine),
    .init("two digits", "HTTP/1.1 20 OK\r\n", .malformedStatusLine),
    .init("four digits", "HTTP/1.1 2000 OK\r\n", .malformedStatusLine),
    .init("status below 100", "HTTP/1.1 099 OK\r\n", .malformedStatusLine),
    .init("status from 600", "HTTP/1.1 600 OK\r\n", .malformedStatusLine),
    .init("signed status", "HTTP/1.1 +20 OK\r\n", .malformedStatusLine),
    .init("tab behind the status", "HTTP/1.1 200\tOK\r\n", .malformedStatusLine),
    .init("status ended by LF", "HTTP/1.1 200\n", .bareLineFeed),
    .init("reason ended by LF", "HTTP/1.1 200 OK\n", .bareLineFeed),
    .init("reason with CR", "HTTP/1.1 200 O\rK\r\n", .bareCarriageReturn),
    .init("reason with NUL", "HTTP/1.1 200 O\0K\r\n", .malformedFieldValue),
    .init("folding", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .obsoleteFolding),
    .init("space before colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .spaceBeforeColon),
    .init("field ended by LF", "HTTP/1.1 200 OK\r\nA: b\n\r\n", .bareLineFeed),
    .init(
      "RFC 9112 6.3 CL and TE",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      .conflictingFraming
    ),
    .init(
      "two Content-Lengths",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
      .repeatedContentLength
    ),
    .init(
      "Content-Length list",
      "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
      .malformedContentLength
    ),
    .init(
      "bad Content-Length to HEAD",
      "HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n",
      .malformedContentLength
    ),
    .init(
      "TE from HTTP/1.0",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      .transferEncodingInHTTP10
    ),
    .init(
      "unasked coding",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      .unknownTransferEncoding
    ),
    .init("bad Connection", "HTTP/1.1 200 OK\r\nConnection: a;b\r\n\r\n", .malformedConnection),
  ]

  @Test(arguments: refused)
  func `a hostile response is refused wherever it is cut`(_ sample: RefusedSample) {
    let bytes = Array(sample.text.utf8)
    var isRefused = false

    for count in 0...bytes.count {
      switch ParsedResponse(Array(bytes[..<count])).outcome {
      case .refused(let fault):
        isRefused = true
        #expect(fault == sample.fault, "prefix of \(count)")
      case .incomplete: #expect(!isRefused, "prefix of \(count)")
      case .complete: Issue.record("prefix of \(count) is complete")
      }
    }

    #expect(isRefused)
  }

  @Test(arguments: valid)
  func `every prefix of a response head is incomplete until the empty line`(_ text: String) {
    let bytes = Array(text.utf8)
    let headLength = Int(ParsedResponse(bytes).head.headLength)

    #expect(headLength > 0)
    for count in 0..<headLength {
      #expect(ParsedResponse(Array(bytes[..<count])).outcome == .incomplete)
    }
    for count in headLength...bytes.count {
      #expect(ParsedResponse(Array(bytes[..<count])).outcome == .complete)
    }
  }

  /// A response, the method it answers, and how its body must end.
  struct FramingSample: Sendable, CustomTestStringConvertible {
    let name: String
    var method = Method.get
    var status = "200"
    var fields = ""
    var version = "1.1"
    let framing: BodyFraming
    let keepsAlive: Bool

    var testDescription: String { name }
  }

  private static let length = "Content-Length: 5\r\n"
  private static let chunked = "Transfer-Encoding: chunked\r\n"

  private static let framings: [FramingSample] = [
    .init(name: "length", fields: length, framing: .length, keepsAlive: true),
    .init(name: "length 0", fields: "Content-Length: 0\r\n", framing: .none, keepsAlive: true),
    .init(name: "chunked", fields: chunked, framing: .chunked, keepsAlive: true),
    .init(name: "neither", framing: .untilClose, keepsAlive: false),
    .init(
      name: "close",
      fields: "Connection: close\r\n" + length,
      framing: .length,
      keepsAlive: false
    ),
    .init(
      name: "HEAD with length",
      method: .head,
      fields: length,
      framing: .none,
      keepsAlive: true
    ),
    .init(
      name: "HEAD with chunked",
      method: .head,
      fields: chunked,
      framing: .none,
      keepsAlive: true
    ),
    .init(name: "HEAD with neither", method: .head, framing: .none, keepsAlive: true),
    .init(name: "304 with length", status: "304", fields: length, framing: .none, keepsAlive: true),
    .init(name: "204", status: "204", framing: .none, keepsAlive: true),
    .init(
      name: "204 with length 0",
      status: "204",
      fields: "Content-Length: 0\r\n",
      framing: .none,
      keepsAlive: true
    ),
    .init(
      name: "204 with a body",
      status: "204",
      fields: length,
      framing: .none,
      keepsAlive: false
    ),
    .init(
      name: "204 with chunks",
      status: "204",
      fields: chunked,
      framing: .none,
      keepsAlive: false
    ),
    .init(name: "100", status: "100", framing: .none, keepsAlive: true),
    .init(
      name: "103 with a body",
      status: "103",
      fields: length,
      framing: .none,
      keepsAlive: false
    ),
    .init(name: "101", status: "101", framing: .none, keepsAlive: false),
    .init(
      name: "CONNECT 200",
      method: .connect,
      fields: length,
      framing: .none,
      keepsAlive: false
    ),
    .init(
      name: "CONNECT 403",
      method: .connect,
      status: "403",
      fields: length,
      framing: .length,
      keepsAlive: true
    ),
    .init(name: "1.0 length", fields: length, version: "1.0", framing: .length, keepsAlive: false),
    .init(
      name: "1.0 keep-alive",
      fields: "Connection: Keep-Alive\r\n" + length,
      version: "1.0",
      framing: .length,
      keepsAlive: true
    ),
    .init(
      name: "1.0 keep-alive without length",
      fields: "Connection: keep-alive\r\n",
      version: "1.0",
      framing: .untilClose,
      keepsAlive: false
    ),
  ]

  @Test(arguments: framings)
  func `RFC 9112 6 3 the end of the body`(_ sample: FramingSample) {
    let parsed = ParsedResponse(
      "HTTP/\(sample.version) \(sample.status) x\r\n\(sample.fields)\r\n",
      to: sample.method
    )

    #expect(parsed.outcome == .complete)
    #expect(parsed.head.framing == sample.framing)
    #expect(parsed.head.keepsAlive == sample.keepsAlive)
    #expect(
      parsed.head.contentLength
        == (sample.fields.hasSuffix(Self.length) ? 5 : parsed.head.contentLength)
    )
  }

  @Test func `a status line is taken apart`() {
    let parsed = ParsedResponse("HTTP/1.0 404 Not  Found\r\nConnection: x-hop\r\n\r\n")
    let bare = ParsedResponse("HTTP/1.1 101\r\n\r\n")

    #expect(parsed.head.status == 404 && parsed.head.minorVersion == 0)
    #expect(parsed.text(parsed.head.reasonStart, parsed.head.reasonLength) == "Not  Found")
    #expect(parsed.head.fieldCount == 1 && parsed.head.connectionNamesOthers)
    #expect(bare.head.isUpgrade && !bare.head.isInterim && bare.head.reasonLength == 0)
    #expect(ParsedResponse("HTTP/1.1 100 x\r\n\r\n").head.isInterim)
  }

  @Test func `Connection in a response may name framing fields`() {
    let parsed = ParsedResponse("HTTP/1.1 200 OK\r\nConnection: Transfer-Encoding\r\n\r\n")

    #expect(parsed.outcome == .complete && !parsed.head.connectionNamesOthers)
  }
}
