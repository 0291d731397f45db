import HTTPCodec
import Testing

/// A request head that must be refused, with the reason.
struct RefusedSample: Sendable, CustomTestStringConvertible {
  let name: String
  let text: String
  let fault: ParseFault

  init(_ name: String, _ text: String, _ fault: ParseFault) {
    self.name = name
    self.text = text
    self.fault = fault
  }

  var testDescription: String { name }
}

/// Request heads, whole and faulty, that several tests share.
enum RequestSamples {
  static let valid: [String] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /plain HTTP/1.0\r\n\r\n",
    "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /p?q=1&r=%20 HTTP/1.1\r\nHost: example.com:8080\r\nContent-Length: 11\r\n\r\nhello world",
    "PUT /p HTTP/1.1\r\nhost:[2001:db8::1]:443\r\nTRANSFER-ENCODING:Chunked\r\n\r\n0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    "GET http://A.example?x HTTP/1.1\r\nHost: a.EXAMPLE:80\r\n\r\n",
    "GET https://a.example:444/p?x HTTP/1.1\r\nHost: a.example:444\r\n\r\n",
    "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
    "M-SEARCH /s HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X-Hop\r\nUpgrade: websocket\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip;q=0.5, trailers\r\nConnection: te, close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: \t a \t\r\nX-Empty:\r\nX-Blank: \t \r\nX-Tab:\ta\tb\r\nx_y: \u{E9}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: ,, close ,\r\nAccept-Encoding: gzip\r\n\r\n",
    browser,
  ]

  /// What a browser sends, 10 fields.
  static let browser = """
    GET /api/v1/items?page=2&sort=name HTTP/1.1\r
    Host: shop.example.com\r
    Connection: keep-alive\r
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r
    Accept-Language: en-US,en;q=0.5\r
    Accept-Encoding: gzip, deflate, br\r
    Referer: https://shop.example.com/api/v1/items\r
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r
    X-Request-ID: 7b0c7d3e-5f0a-4f39-9f0e-0f6f3a1c2d4e\r
    Upgrade-Insecure-Requests: 1\r
    \r

    """

  static let refused: [RefusedSample] = lineFaults + fieldFaults + hostFaults + framingFaults

  private static func fields(_ lines: String, version: String = "1.1") -> String {
    "POST / HTTP/\(version)\r\nHost: a\r\n\(lines)\r\n\r\n"
  }

  private static let lineFaults: [RefusedSample] = [
    .init("two empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", .malformedMethod),
    .init("bare LF before the request", "\nGET / HTTP/1.1\r\n\r\n", .bareLineFeed),
    .init("bare CR before the request", "\rGET / HTTP/1.1\r\n\r\n", .bareCarriageReturn),
    .init("TLS client hello", "\u{16}\u{3}\u{1}\u{2}", .malformedMethod),
    .init("space before the method", " GET / HTTP/1.1\r\n", .malformedMethod),
    .init("method with a colon", "GE:T / HTTP/1.1\r\n", .malformedMethod),
    .init("method with NUL", "GE\0T / HTTP/1.1\r\n", .malformedMethod),
    .init("method behind a tab", "GET\t/ HTTP/1.1\r\n", .malformedMethod),
    .init("method over its bound", String(repeating: "A", count: 33), .methodTooLong),
    .init("two spaces before the target", "GET  / HTTP/1.1\r\n", .malformedTarget),
    .init("space in the target", "GET /a b HTTP/1.1\r\n", .malformedVersion),
    .init("tab in the target", "GET /a\tb HTTP/1.1\r\n", .malformedTarget),
    .init("fragment in the target", "GET /a#b HTTP/1.1\r\n", .malformedTarget),
    .init("fragment behind the query", "GET /a?b#c HTTP/1.1\r\n", .malformedTarget),
    .init("NUL in the target", "GET /\0 HTTP/1.1\r\n", .malformedTarget),
    .init("DEL in the target", "GET /\u{7F} HTTP/1.1\r\n", .malformedTarget),
    .init("non-ASCII target", "GET /caf\u{E9} HTTP/1.1\r\n", .malformedTarget),
    .init("path without slash", "GET index.html HTTP/1.1\r\n", .malformedTarget),
    .init("asterisk for GET", "GET * HTTP/1.1\r\n", .malformedTarget),
    .init("asterisk with more", "OPTIONS ** HTTP/1.1\r\n", .malformedTarget),
    .init("authority for GET", "GET a.example:80 HTTP/1.1\r\n", .malformedTarget),
    .init("path for CONNECT", "CONNECT / HTTP/1.1\r\n", .malformedTarget),
    .init("CONNECT without port", "CONNECT a.example HTTP/1.1\r\n", .malformedTarget),
    .init("foreign scheme", "GET ftp://a.example/ HTTP/1.1\r\n", .malformedTarget),
    .init("scheme without host", "GET http:///x HTTP/1.1\r\n", .malformedHost),
    .init("user information", "GET http://u@a.example/ HTTP/1.1\r\n", .malformedHost),
    .init("HTTP/0.9", "GET /\r\n", .malformedVersion),
    .init("HTTP/0.9 spelled out", "GET / HTTP/0.9\r\n", .malformedVersion),
    .init("lower case version", "GET / http/1.1\r\n", .malformedVersion),
    .init("version 1.2", "GET / HTTP/1.2\r\n", .malformedVersion),
    .init("version 1.10", "GET / HTTP/1.10\r\n", .malformedVersion),
    .init("version 01.1", "GET / HTTP/01.1\r\n", .malformedVersion),
    .init("version 1,1", "GET / HTTP/1,1\r\n", .malformedVersion),
    .init("version with space", "GET / HTTP/1.1 \r\n", .malformedVersion),
    .init("misspelled version", "GET / HTPT/1.1\r\n", .malformedVersion),
    .init("version without number", "GET / HTTP/\r\n", .malformedVersion),
    .init("two spaces before the version", "GET /  HTTP/1.1\r\n", .malformedVersion),
    .init("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
    .init("HTTP/3", "GET / HTTP/3.0\r\n", .unsupportedVersion),
    .init("request line ended by LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed),
    .init("HTTP/0.9 ended by LF", "GET /\n", .bareLineFeed),
    .init("request line ended by CR", "GET / HTTP/1.1\rHost: a\r\n", .bareCarriageReturn),
  ]

  private static let fieldFaults: [RefusedSample] = [
    .init("RFC 9112 5.2 folding", fields("X: a\r\n b"), .obsoleteFolding),
    .init("folding by tab", fields("X: a\r\n\tb"), .obsoleteFolding),
    .init("space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .obsoleteFolding),
    .init("RFC 9112 5.1 space before colon", fields("X : a"), .spaceBeforeColon),
    .init("tab before colon", fields("Content-Length\t: 5"), .spaceBeforeColon),
    .init("no colon", fields("Xyz"), .malformedFieldName),
    .init("empty name", fields(": a"), .malformedFieldName),
    .init("NUL in a name", fields("X\0: a"), .malformedFieldName),
    .init("non-ASCII name", fields("X\u{E9}: a"), .malformedFieldName),
    .init("name with parenthesis", fields("X(y): a"), .malformedFieldName),
    .init("known name with 0x0D for its hyphen", fields("Content\rLength: 5"), .malformedFieldName),
    .init("long name with a bracket", fields("x-forwarded-some[thing]: a"), .malformedFieldName),
    .init("NUL in a value", fields("X: a\0b"), .malformedFieldValue),
    .init("DEL in a value", fields("X: aaaaaaaaaaaaaaa\u{7F}b"), .malformedFieldValue),
    .init("escape in a value", fields("X: \u{1B}[0m"), .malformedFieldValue),
    .init(
      "vertical tab before chunked",
      fields("Transfer-Encoding: \u{B}chunked"),
      .malformedFieldValue
    ),
    .init("bare LF ends a field", fields("X: a\nY: b"), .bareLineFeed),
    .init("bare CR in a value", fields("X: a\rY: b"), .bareCarriageReturn),
    .init("head ended by LF", "GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
    .init("head ended by CR", "GET / HTTP/1.1\r\nHost: a\r\n\rX", .bareCarriageReturn),
    .init("control at the start of a line", fields("\u{1}X: a"), .malformedFieldName),
    .init("Connection names Host", fields("Connection: close, Host"), .malformedConnection),
    .init("Connection names framing", fields("Connection: content-length"), .malformedConnection),
    .init("Connection that is no list", fields("Connection: a b"), .malformedConnection),
    .init("Connection with quotes", fields("Connection: \"close\""), .malformedConnection),
    .init(
      "Connection with 33 names",
      fields("Connection: " + Array(repeating: "x", count: 33).joined(separator: ",")),
      .tooManyConnectionOptions
    ),
  ]

  private static func host(_ value: String) -> String { "GET / HTTP/1.1\r\nHost:\(value)\r\n\r\n" }

  private static let hostFaults: [RefusedSample] = [
    .init("RFC 9112 3.2 no Host", "GET / HTTP/1.1\r\n\r\n", .missingHost),
    .init("no Host beside an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", .missingHost),
    .init("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", .repeatedHost),
    .init("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", .repeatedHost),
    .init("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", .repeatedHost),
    .init("empty Host", host(""), .malformedHost),
    .init("blank Host", host("  "), .malformedHost),
    .init("list of hosts", host("a, b"), .malformedHost),
    .init("host with path", host("a/b"), .malformedHost),
    .init("host with user", host("u@a"), .malformedHost),
    .init("host with percent", host("a%2e"), .malformedHost),
    .init("non-ASCII host", host("caf\u{E9}"), .malformedHost),
    .init("host without port digits", host("a:"), .malformedHost),
    .init("only a port", host(":80"), .malformedHost),
    .init("port over 65535", host("a:65536"), .malformedHost),
    .init("port of six digits", host("a:000080"), .malformedHost),
    .init("port with sign", host("a:+80"), .malformedHost),
    .init("two ports", host("a:80:80"), .malformedHost),
    .init("IPv6 without brackets", host("2001:db8::1"), .malformedHost),
    .init("open bracket", host("[::1"), .malformedHost),
    .init("only a bracket", host("["), .malformedHost),
    .init("empty brackets", host("[]"), .malformedHost),
    .init("two compressions", host("[1::2::3]"), .malformedHost),
    .init("three colons", host("[:::1]"), .malformedHost),
    .init("seven groups", host("[1:2:3:4:5:6:7]"), .malformedHost),
    .init("nine groups", host("[1:2:3:4:5:6:7:8:9]"), .malformedHost),
    .init("eight groups and a compression", host("[1:2:3:4:5:6:7:8::]"), .malformedHost),
    .init("five digits in a group", host("[12345::]"), .malformedHost),
    .init("ends in one colon", host("[1:2:]"), .malformedHost),
    .init("zone", host("[fe80::1%25eth0]"), .malformedHost),
    .init("IPvFuture", host("[v1.a]"), .malformedHost),
    .init("bad dotted quad", host("[::1.2.3.256]"), .malformedHost),
    .init("short dotted quad", host("[::1.2.3]"), .malformedHost),
    .init("dotted quad in front", host("[1.2.3.4::]"), .malformedHost),
    .init("text behind the bracket", host("[::1]a"), .malformedHost),
    .init("other host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", .disagreeingHost),
    .init("other port", "GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", .disagreeingHost),
    .init(
      "port of the other scheme",
      "GET http://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n",
      .disagreeingHost
    ),
    .init("longer host", "GET http://a/ HTTP/1.0\r\nHost: ab\r\n\r\n", .disagreeingHost),
    .init("CONNECT elsewhere", "CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", .disagreeingHost),
    .init(
      "CONNECT to another port",
      "CONNECT a:443 HTTP/1.1\r\nHost: a:80\r\n\r\n",
      .disagreeingHost
    ),
  ]

  private static let framingFaults: [RefusedSample] = [
    .init("CL.TE", fields("Content-Length: 6\r\nTransfer-Encoding: chunked"), .conflictingFraming),
    .init("TE.CL", fields("Transfer-Encoding: chunked\r\nContent-Length: 4"), .conflictingFraming),
    .init("CL.CL", fields("Content-Length: 8\r\nContent-Length: 7"), .repeatedContentLength),
    .init("equal CL.CL", fields("Content-Length: 8\r\nContent-Length: 8"), .repeatedContentLength),
    .init("CL list", fields("Content-Length: 5, 5"), .malformedContentLength),
    .init("CL with plus", fields("Content-Length: +5"), .malformedContentLength),
    .init("CL with minus", fields("Content-Length: -1"), .malformedContentLength),
    .init("CL in hexadecimal", fields("Content-Length: 0x5"), .malformedContentLength),
    .init("CL with fraction", fields("Content-Length: 5.0"), .malformedContentLength),
    .init("CL with space", fields("Content-Length: 1 1"), .malformedContentLength),
    .init("empty CL", fields("Content-Length:"), .malformedContentLength),
    .init("CL of 2^63", fields("Content-Length: 9223372036854775808"), .malformedContentLength),
    .init(
      "CL of 20 digits",
      fields("Content-Length: 18446744073709551617"),
      .malformedContentLength
    ),
    .init(
      "CL of 20 zeros",
      fields("Content-Length: 00000000000000000000"),
      .malformedContentLength
    ),
    .init(
      "TE in HTTP/1.0",
      fields("Transfer-Encoding: chunked", version: "1.0"),
      .transferEncodingInHTTP10
    ),
    .init(
      "TE.TE",
      fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
      .repeatedTransferEncoding
    ),
    .init(
      "TE twice in a list",
      fields("Transfer-Encoding: chunked, chunked"),
      .malformedTransferEncoding
    ),
    .init(
      "chunked not final",
      fields("Transfer-Encoding: chunked, gzip"),
      .malformedTransferEncoding
    ),
    .init(
      "chunked with parameter",
      fields("Transfer-Encoding: chunked;a=b"),
      .malformedTransferEncoding
    ),
    .init("quoted chunked", fields("Transfer-Encoding: \"chunked\""), .malformedTransferEncoding),
    .init("empty TE", fields("Transfer-Encoding:"), .malformedTransferEncoding),
    .init("empty element first", fields("Transfer-Encoding: ,chunked"), .malformedTransferEncoding),
    .init("empty element last", fields("Transfer-Encoding: chunked,"), .malformedTransferEncoding),
    .init("TE with colon", fields("Transfer-Encoding: :chunked"), .malformedTransferEncoding),
    .init("two words", fields("Transfer-Encoding: chunked x"), .malformedTransferEncoding),
    .init(
      "quoted parameter",
      fields("Transfer-Encoding: gzip;a=\"b,c\""),
      .malformedTransferEncoding
    ),
    .init("identity", fields("Transfer-Encoding: identity"), .unknownTransferEncoding),
    .init("xchunked", fields("Transfer-Encoding: xchunked"), .unknownTransferEncoding),
    .init(
      "gzip before chunked",
      fields("Transfer-Encoding: gzip, chunked"),
      .unknownTransferEncoding
    ),
    .init(
      "gzip with parameter",
      fields("Transfer-Encoding: gzip;q=1 , chunked"),
      .unknownTransferEncoding
    ),
    .init(
      "cow",
      fields("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
      .unknownTransferEncoding
    ),
  ]
}
