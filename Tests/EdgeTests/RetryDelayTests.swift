import HTTPCodec
import Testing
import Units

@testable import Edge

/// What responses say about when to come back.
@Suite struct RetryDelayTests {
  /// 2026-11-21 23:00:00 UTC.
  private static let now: Int64 = 1_795_302_000

  private static func delay(_ lines: String) -> RetryDelay? {
    let text = "HTTP/1.1 503 No\r\n\(lines)content-length: 0\r\n\r\n"
    let fields = UnsafeMutablePointer<HeadField>.allocate(capacity: 64)
    fields.initialize(repeating: HeadField(), count: 64)
    defer { fields.deallocate() }
    var bytes = Array(text.utf8)
    return bytes.withUnsafeMutableBufferPointer { buffer -> RetryDelay? in
      guard let base = buffer.baseAddress else { return nil }
      var head = ResponseHead()
      let outcome = ResponseParser.parse(
        base,
        count: buffer.count,
        request: .get,
        limits: HeadLimits(maximumBytes: 16_384, maximumFields: 64),
        fields: fields,
        into: &head
      )
      guard case .complete = outcome else { return nil }
      let view = ResponseView(bytes: UnsafePointer(base), fields: fields, head: head)
      return RetryDelay(view, wallClock: now * 1_000_000_000)
    }
  }

  @Test(arguments: [
    ("", RetryDelay.unsaid),
    ("Retry-After: 0\r\n", .atLeast(.zero)),
    ("retry-after: 120\r\n", .atLeast(.seconds(120))),
    ("Retry-After: 999999999999\r\n", .atLeast(.seconds(1_000_000_000))),
    ("Retry-After: Sat, 21 Nov 2026 23:00:07 GMT\r\n", .atLeast(.seconds(7))),
    ("Retry-After: Sat, 21 Nov 2026 22:59:59 GMT\r\n", .atLeast(.zero)),
    ("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", .atLeast(.seconds(1_000_000_000))),
    ("Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n", .atLeast(.zero)),
    ("Retry-After: \r\n", .unsaid),
    ("Retry-After: -1\r\n", .unsaid),
    ("Retry-After: 1.5\r\n", .unsaid),
    ("Retry-After: Saturday, 21-Nov-26 23:00:07 GMT\r\n", .unsaid),
    ("Retry-After: Sat, 21 Nov 2026 23:00:07 CET\r\n", .unsaid),
    ("Retry-After: Sat, 21 Nix 2026 23:00:07 GMT\r\n", .unsaid),
    ("Retry-After: Sat, 21 Nov 2026 24:00:07 GMT\r\n", .unsaid),
    ("grpc-retry-pushback-ms: 250\r\n", .exactly(.milliseconds(250))),
    ("grpc-retry-pushback-ms: -1\r\n", .never),
    ("grpc-retry-pushback-ms: soon\r\n", .never),
    ("grpc-retry-pushback-ms: \r\n", .never),
    ("Retry-After: 9\r\ngrpc-retry-pushback-ms: 5\r\n", .exactly(.milliseconds(5))),
    ("grpc-retry-pushback-ms: 5\r\nRetry-After: 9\r\n", .exactly(.milliseconds(5))),
    ("X-Envoy-Overloaded: true\r\n", .never),
    ("x-envoy-ratelimited: true\r\nRetry-After: 1\r\n", .never),
  ])
  func `what a response says is read, and what cannot be read says nothing`(
    _ lines: String,
    _ expected: RetryDelay
  ) {
    #expect(Self.delay(lines) == expected)
  }

  @Test(arguments: [
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
    ("Tue, 29 Feb 2000 23:59:60 GMT", 951_868_800), ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
    ("Sun, 28 Feb 2100 12:00:00 GMT", 4_107_499_200),
    ("Mon, 01 Mar 2100 12:00:00 GMT", 4_107_585_600),
    ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
  ])
  func `a date is seconds since 1970`(_ text: String, _ seconds: Int64) {
    let bytes = Array(text.utf8)
    let date = bytes.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.flatMap { RetryAfter.date($0, buffer.count) }
    }

    #expect(date == seconds)
  }
}
