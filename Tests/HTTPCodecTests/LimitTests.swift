import HTTPCodec
import Testing

struct LimitTests {
  private let limits = HeadLimits(maximumBytes: 64, maximumFields: 2, maximumTarget: 8)

  @Test func `a head of exactly its bound is complete and one byte more is 431`() {
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: "
    let fits = start + String(repeating: "b", count: 64 - start.utf8.count - 4) + "\r\n\r\n"
    let over = start + String(repeating: "b", count: 64 - start.utf8.count - 3) + "\r\n\r\n"

    #expect(ParsedRequest(fits, limits: limits).outcome == .complete)
    #expect(ParsedRequest(fits + "body", limits: limits).outcome == .complete)
    #expect(ParsedRequest(over, limits: limits).outcome == .refused(.headTooLarge))
    #expect(ParseFault.headTooLarge.status == 431)
  }

  @Test func `an endless field is refused as soon as the bound is full`() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "b", count: 100)
    let bytes = Array(text.utf8)

    #expect(ParsedRequest(Array(bytes[..<63]), limits: limits).outcome == .incomplete)
    #expect(ParsedRequest(Array(bytes[..<64]), limits: limits).outcome == .refused(.headTooLarge))
    #expect(ParsedRequest(bytes, limits: limits).outcome == .refused(.headTooLarge))
  }

  @Test func `one field more than the bound is 431 at its first byte`() {
    let full = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n"

    #expect(ParsedRequest(full, limits: limits).outcome == .incomplete)
    #expect(ParsedRequest(full + "\r\n", limits: limits).outcome == .complete)
    #expect(ParsedRequest(full + "Y", limits: limits).outcome == .refused(.tooManyFields))
    #expect(ParseFault.tooManyFields.status == 431)
  }

  @Test func `a target over its bound is 414 before it ends`() {
    let fits = "GET /2345678 HTTP/1.1\r\nHost: a\r\n\r\n"

    #expect(ParsedRequest(fits, limits: limits).outcome == .complete)
    #expect(ParsedRequest("GET /23456789", limits: limits).outcome == .refused(.targetTooLong))
    #expect(ParsedRequest("GET /23456789 H", limits: limits).outcome == .refused(.targetTooLong))
    #expect(ParseFault.targetTooLong.status == 414)
  }

  @Test func `a target that fills the head's bound is 414`() {
    let wide = HeadLimits(maximumBytes: 64, maximumFields: 2, maximumTarget: 8_000)
    let text = "GET /" + String(repeating: "a", count: 100)

    #expect(ParsedRequest(text, limits: wide).outcome == .refused(.targetTooLong))
  }

  @Test func `response heads and trailers have the same bounds`() {
    let head = "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n"

    #expect(ParsedResponse(head + "\r\n", limits: limits).outcome == .complete)
    #expect(ParsedResponse(head + "E", limits: limits).outcome == .refused(.tooManyFields))
    #expect(
      ParsedResponse("HTTP/1.1 200 " + String(repeating: "a", count: 60), limits: limits).outcome
        == .refused(.headTooLarge)
    )
    #expect(ParsedTrailers("A: b\r\nC: d\r\n\r\n", limits: limits).outcome == .complete)
    #expect(ParsedTrailers("A: b\r\nC: d\r\nE", limits: limits).outcome == .refused(.tooManyFields))
    #expect(
      ParsedTrailers("A: " + String(repeating: "a", count: 70), limits: limits).outcome
        == .refused(.headTooLarge)
    )
  }

  @Test func `every fault has a status for clients and a reason of its own`() {
    let reasons = Set(ParseFault.allCases.map { $0.reason.description })

    #expect(reasons.count == ParseFault.allCases.count)
    for fault in ParseFault.allCases {
      #expect([400, 414, 431, 501, 505].contains(fault.status))
      let isKebab = fault.reason.description.allSatisfy {
        $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "-")
      }
      #expect(isKebab, "\(fault)")
    }
  }
}
