import HTTPCodec
import Testing

struct ChunkedDecoderTests {
  private static let valid: [(String, String)] = [
    ("0\r\n", ""),
    ("5\r\nhello\r\n0\r\n", "hello"),
    ("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", "hello world"),
    ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n", "01234567890123456789"),
    ("0000000000000001\r\nx\r\n0\r\n", "x"),
    ("2;a=b;c=\"d e\"\r\n\r\n\r\n0;last\r\nX: y\r\n\r\n", "\r\n"),
    ("2;\r\n0\r\r\n0\r\n", "0\r"),
  ]

  private static let refused: [RefusedSample] = [
    .init("no digits", "\r\n", .malformedChunkSize),
    .init("LF for a size", "\n", .bareLineFeed),
    .init("extension without size", ";a\r\n", .malformedChunkSize),
    .init("hexadecimal prefix", "0x5\r\nhello", .malformedChunkSize),
    .init("plus", "+5\r\n", .malformedChunkSize),
    .init("minus", "-5\r\n", .malformedChunkSize),
    .init("space before the size", " 5\r\n", .malformedChunkSize),
    .init("space behind the size", "5 \r\n", .malformedChunkSize),
    .init("tab behind the size", "5\t\r\n", .malformedChunkSize),
    .init("space before an extension", "5 ;a\r\n", .malformedChunkSize),
    .init("underscore", "1_0\r\n", .malformedChunkSize),
    .init("letter past F", "5g\r\n", .malformedChunkSize),
    .init("17 digits", "00000000000000005\r\n", .malformedChunkSize),
    .init("2^63", "8000000000000000\r\n", .malformedChunkSize),
    .init("2^64 - 1", "ffffffffffffffff\r\n", .malformedChunkSize),
    .init("2^64 + 5", "10000000000000005\r\n", .malformedChunkSize),
    .init("size ended by LF", "5\nhello\r\n", .bareLineFeed),
    .init("size ended by CR", "5\rhello\r\n", .bareCarriageReturn),
    .init("TERM.EXT: LF in an extension", "5;a\nhello\r\n", .bareLineFeed),
    .init("CR in an extension", "5;a\rb\r\n", .bareCarriageReturn),
    .init("NUL in an extension", "5;\0\r\n", .malformedChunkExtension),
    .init("non-ASCII extension", "5;\u{E9}\r\n", .malformedChunkExtension),
    .init("SPILL: data past the size", "5\r\nhelloX\r\n0\r\n", .malformedChunkEnd),
    .init("LF behind data", "5\r\nhello\n0\r\n", .bareLineFeed),
    .init("CR behind data", "5\r\nhello\r0\r\n", .bareCarriageReturn),
    .init("no end of data", "5\r\nhello0\r\n", .malformedChunkEnd),
    .init("negative second chunk", "1\r\na\r\n-1\r\n", .malformedChunkSize),
    .init("empty line between chunks", "1\r\na\r\n\r\n0\r\n", .malformedChunkSize),
    .init(
      "one long extension",
      "1;" + String(repeating: "a", count: 64) + "\r\n",
      .chunkExtensionTooLong
    ),
    .init(
      "many short extensions",
      String(repeating: "1;aaaaaaaa\r\nx\r\n", count: 9),
      .chunkExtensionTooLong
    ),
  ]

  @Test(arguments: valid)
  func `a chunked body is decoded over every cut`(_ text: String, _ data: String) {
    let bytes = Array(text.utf8)
    let whole = DecodedBody(text)

    #expect(whole.last == .trailersBegin && whole.data == Array(data.utf8))
    for cut in 0...bytes.count {
      #expect(DecodedBody([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole)
    }
    #expect(DecodedBody(bytes.map { [$0] }) == whole)
  }

  @Test(arguments: refused)
  func `a hostile chunk is refused over every cut`(_ sample: RefusedSample) {
    let bytes = Array(sample.text.utf8)
    let whole = DecodedBody(sample.text)

    #expect(whole.last == .refused(sample.fault))
    for cut in 0...bytes.count {
      #expect(DecodedBody([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole)
    }
    #expect(DecodedBody(bytes.map { [$0] }) == whole)
  }

  @Test func `data pays for extensions`() {
    let body = String(repeating: "8;aaaaaaa\r\n01234567\r\n", count: 100) + "0\r\n"

    #expect(DecodedBody(body).last == .trailersBegin)
    #expect(
      DecodedBody("1;\r\nx\r\n", maximumExtensionBytes: 0).last == .refused(.chunkExtensionTooLong)
    )
  }

  @Test func `the greatest size is taken without a trap`() {
    let body = DecodedBody("7fffffffffffffff\r\nabc")

    #expect(body.last == .needMore && body.data == Array("abc".utf8))
  }

  @Test func `what follows the last chunk is left alone`() {
    let body = DecodedBody("0\r\nX: y\r\n\r\n")

    #expect(body.last == .trailersBegin && body.used == 3)
  }

  @Test func `a refused decoder stays refused`() {
    var decoder = ChunkedDecoder(maximumExtensionBytes: 8)
    let bytes = Array("zz".utf8)
    bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for _ in 0..<3 {
        var offset = 0
        #expect(decoder.next(base, count: 2, offset: &offset) == .refused(.malformedChunkSize))
        #expect(offset == 0)
      }
    }
  }
}

struct TrailerParserTests {
  private static let valid = ["\r\n", "A: b\r\n\r\n", "X-Sum: 1\r\nEtag:\"x\"\r\n\r\nGET / "]

  private static let refused: [RefusedSample] = [
    .init("LF", "\n", .bareLineFeed),
    .init("CR", "\rX", .bareCarriageReturn),
    .init("folding", "A: b\r\n c\r\n\r\n", .obsoleteFolding),
    .init("space before colon", "A : b\r\n\r\n", .spaceBeforeColon),
    .init("a request instead", "GET / HTTP/1.1\r\n\r\n", .spaceBeforeColon),
    .init("RFC 9110 6.5.1 length", "content-length: 5\r\n\r\n", .forbiddenTrailer),
    .init("RFC 9110 6.5.1 coding", "Transfer-Encoding: chunked\r\n\r\n", .forbiddenTrailer),
    .init("RFC 9110 6.5.1 host", "A: b\r\nHost: a\r\n\r\n", .forbiddenTrailer),
    .init("connection", "Connection: x\r\n\r\n", .forbiddenTrailer),
  ]

  @Test(arguments: valid)
  func `a trailer section is complete at its empty line and not before`(_ text: String) {
    let bytes = Array(text.utf8)
    let length = Int(ParsedTrailers(text).section.length)

    #expect(length >= 2)
    for count in 0..<length {
      #expect(ParsedTrailers(Array(bytes[..<count])).outcome == .incomplete)
    }
    for count in length...bytes.count {
      #expect(ParsedTrailers(Array(bytes[..<count])).outcome == .complete)
    }
  }

  @Test(arguments: refused)
  func `a hostile trailer is refused wherever it is cut`(_ sample: RefusedSample) {
    let bytes = Array(sample.text.utf8)
    var isRefused = false

    for count in 0...bytes.count {
      let outcome = ParsedTrailers(Array(bytes[..<count])).outcome
      isRefused = isRefused || outcome != .incomplete
      #expect(outcome == (isRefused ? .refused(sample.fault) : .incomplete))
    }

    #expect(isRefused)
  }
}
