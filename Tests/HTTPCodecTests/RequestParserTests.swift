import HTTPCodec
import Testing

struct RequestParserTests {
  @Test(arguments: RequestSamples.refused)
  func `a hostile head is refused for its reason`(_ sample: RefusedSample) {
    #expect(ParsedRequest(sample.text).outcome == .refused(sample.fault))
  }

  @Test(arguments: RequestSamples.valid)
  func `a whole head is complete`(_ text: String) {
    #expect(ParsedRequest(text).outcome == .complete)
  }

  @Test(arguments: RequestSamples.refused)
  func `a refusal does not depend on where the reads were cut`(_ sample: RefusedSample) {
    let bytes = Array(sample.text.utf8)
    var isRefused = false

    for count in 0...bytes.count {
      switch ParsedRequest(Array(bytes[..<count])).outcome {
      case .refused(let fault):
        isRefused = true
        #expect(fault == sample.fault, "prefix of \(count)")
      case .incomplete: #expect(!isRefused, "prefix of \(count)")
      case .complete: Issue.record("prefix of \(count) is complete")
      }
    }

    #expect(isRefused)
  }

  @Test(arguments: RequestSamples.valid)
  func `every prefix of a head is incomplete until the empty line`(_ text: String) {
    let bytes = Array(text.utf8)
    let headLength = Int(ParsedRequest(bytes).head.headLength)

    for count in 0..<headLength {
      #expect(ParsedRequest(Array(bytes[..<count])).outcome == .incomplete, "prefix of \(count)")
    }
    for count in headLength...bytes.count {
      let parsed = ParsedRequest(Array(bytes[..<count]))
      #expect(parsed.outcome == .complete)
      #expect(Int(parsed.head.headLength) == headLength)
    }
  }

  @Test func `a browser's request is taken apart`() {
    let parsed = ParsedRequest(RequestSamples.browser)

    #expect(parsed.outcome == .complete)
    #expect(parsed.head.method == .get && parsed.head.form == .origin)
    #expect(parsed.target == "/api/v1/items?page=2&sort=name")
    #expect(parsed.path == "/api/v1/items" && parsed.query == "page=2&sort=name")
    #expect(parsed.authority == "shop.example.com" && parsed.head.port == -1)
    #expect(parsed.head.keepsAlive && !parsed.head.connectionNamesOthers)
    #expect(parsed.head.contentLength == -1 && !parsed.head.isChunked)
    #expect(parsed.pairs.count == 10 && parsed.pairs[4] == "Accept-Language=en-US,en;q=0.5")
    #expect(parsed.fields[8].known == .xRequestID)
    #expect(Int(parsed.head.headLength) == RequestSamples.browser.utf8.count)
  }

  @Test(arguments: [
    ("a", "a", -1), ("a.example:0", "a.example", 0), ("a_b-c.~d:65535", "a_b-c.~d", 65_535),
    ("127.0.0.1:80", "127.0.0.1", 80), ("[::]", "[::]", -1), ("[::1]:8080", "[::1]", 8_080),
    ("[1::]", "[1::]", -1), ("[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]", -1),
    ("[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", -1), ("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]", 1),
    ("[1:2:3:4:5:6:1.2.3.4]", "[1:2:3:4:5:6:1.2.3.4]", -1),
  ])
  func `RFC 9110 7.2 Host is split into host and port`(_ value: String, _ host: String, _ port: Int)
  {
    let parsed = ParsedRequest("GET / HTTP/1.1\r\nHost: \(value)\r\n\r\n")

    #expect(parsed.outcome == .complete)
    #expect(parsed.authority == value && parsed.host == host && Int(parsed.head.port) == port)
  }

  @Test func `RFC 9112 3 2 2 the target's own authority wins over Host`() {
    let parsed = ParsedRequest("GET hTTp://A.example:80?x HTTP/1.1\r\nHost: a.example\r\n\r\n")

    #expect(parsed.outcome == .complete && parsed.head.form == .absolute)
    #expect(parsed.authority == "A.example:80" && parsed.host == "A.example")
    #expect(parsed.path.isEmpty && parsed.query == "x")
  }

  @Test func `a target without path or a star or an authority has its form`() {
    let star = ParsedRequest("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    let tunnel = ParsedRequest("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]\r\n\r\n")
    let secure = ParsedRequest("GET https://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n")

    #expect(star.outcome == .complete && star.head.form == .asterisk && star.path == "*")
    #expect(tunnel.outcome == .complete && tunnel.head.form == .authority)
    #expect(tunnel.host == "[::1]" && tunnel.head.port == 443 && tunnel.path.isEmpty)
    #expect(secure.outcome == .complete && secure.path == "/")
  }

  @Test(arguments: Method.allCases)
  func `a method is known by its exact bytes`(_ method: Method) {
    let target = method == .connect ? "a:1" : "/"
    let exact = ParsedRequest("\(method.name) \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
    let lower = ParsedRequest(
      "\(method.name.description.lowercased()) / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    let longer = ParsedRequest("\(method.name)X / HTTP/1.1\r\nHost: a\r\n\r\n")

    #expect(exact.outcome == .complete && exact.head.method == method)
    #expect(lower.outcome == .complete && lower.head.method == .other)
    #expect(longer.outcome == .complete && longer.head.method == .other)
    #expect(Int(exact.head.methodLength) == method.name.utf8CodeUnitCount)
  }

  @Test(arguments: [
    ("1.1", "X: y", true), ("1.1", "Connection: close", false),
    ("1.1", "Connection: Keep-Alive", true),
    ("1.1", "Connection: keep-alive, CLOSE", false), ("1.0", "X: y", false),
    ("1.0", "Connection: keep-alive", true), ("1.1", "Connection: a\r\nConnection: close", false),
    ("1.0", "Connection: keep-alive\r\nConnection: close", false),
    ("1.1", "Proxy-Connection: close", true),
  ])
  func `RFC 9112 9 3 persistence`(_ version: String, _ field: String, _ keepsAlive: Bool) {
    let parsed = ParsedRequest("GET / HTTP/\(version)\r\nHost: a\r\n\(field)\r\n\r\n")

    #expect(parsed.outcome == .complete && parsed.head.keepsAlive == keepsAlive)
  }

  @Test func `an upgrade and an expectation count in HTTP 1 1 only`() {
    let fields =
      "Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n"
    let new = ParsedRequest("GET / HTTP/1.1\r\n" + fields)
    let old = ParsedRequest("GET / HTTP/1.0\r\n" + fields)
    let unnamed = ParsedRequest("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nExpect: x\r\n\r\n")

    #expect(new.head.wantsUpgrade && new.head.expectsContinue)
    #expect(old.outcome == .complete && !old.head.wantsUpgrade && !old.head.expectsContinue)
    #expect(unnamed.outcome == .complete)
    #expect(!unnamed.head.wantsUpgrade && !unnamed.head.expectsContinue)
  }

  @Test func `TE accepts trailers only when it lists them`() {
    func accepts(_ value: String) -> Bool {
      ParsedRequest("GET / HTTP/1.1\r\nHost: a\r\nTE: \(value)\r\n\r\n").head.acceptsTrailers
    }

    #expect(accepts("trailers") && accepts("gzip;q=0.5, Trailers"))
    #expect(!accepts("") && !accepts("trailer") && !accepts("gzip") && !accepts("trailers;q=1"))
  }

  @Test func `fields that Connection names are found whatever their case`() {
    let parsed = ParsedRequest(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x-HOP\r\nX-Hop: 1\r\nX-Ho: 2\r\n\r\n"
    )
    let named = parsed.bytes.withUnsafeBufferPointer { bytes in
      parsed.fields.withUnsafeBufferPointer { fields in
        parsed.fields.map { field in
          guard let bytes = bytes.baseAddress, let table = fields.baseAddress else { return false }
          return ConnectionOptions.name(field, bytes, fields: table, count: fields.count)
        }
      }
    }

    #expect(parsed.head.connectionNamesOthers)
    #expect(named == [false, false, true, false])
  }

  @Test func `Content-Length goes to the end of 63 bits`() {
    let most = ParsedRequest(
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n"
    )
    let padded = ParsedRequest("PUT / HTTP/1.1\r\nHost: a\r\ncontent-length:\t007 \r\n\r\n")

    #expect(most.outcome == .complete && most.head.contentLength == .max)
    #expect(padded.outcome == .complete && padded.head.contentLength == 7)
  }

  @Test func `a pipelined request begins where the head ended`() {
    let first = ParsedRequest(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n"
    )
    let second = ParsedRequest(Array(first.bytes[Int(first.head.headLength)...]))

    #expect(first.path == "/1" && second.path == "/2" && second.host == "b")
  }
}
