import HTTPCodec
import Reactor
import Testing
import Units

@testable import Edge

/// Heads as they are rewritten for the next hop.
private enum Rewriting {
  /// The lines that the service gets for a request, or `nil` where the head does not fit.
  static func upstream(
    _ lines: [String],
    peer: IPBytes = IPBytes(high: 0, low: 0xFFFF_C000_0207),
    isUnix: Bool = false,
    isTrusted: Bool = false,
    isUpgrade: Bool = false,
    capacity: Int = 16_384
  ) throws -> [String]? {
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, capacity)) { target in
      let base = try #require(target.baseAddress)
      return try ParsedRequest.withView(
        lines,
        path: "/normalised",
        identifier: "0123456789abcdef",
        peer: peer,
        isUnix: isUnix,
        isTrusted: isTrusted
      ) { view in
        var writer = ByteWriter(base, capacity: capacity)
        let classes = ClassNames(["first", "second"])
        defer { classes.deallocate() }
        guard
          let layout = UpstreamHead.write(
            view,
            isUpgrade: isUpgrade,
            demand: RequestDemand(priority: 1, deadline: Instant(1_500_000_000)),
            classes: classes,
            now: Instant(0),
            into: &writer
          )
        else { return nil }
        return split(base, layout.count)
      }
    }
  }

  /// What a response without a date gets, which is the wire tests' business.
  private static let date: StaticString = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

  static func downstream(
    _ lines: [String],
    _ framing: DownstreamHead.Framing
  ) throws -> [String] {
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    return try withUnsafeTemporaryAllocation(of: HeadField.self, capacity: 256) { table in
      try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 4_096) { target in
        let fields = try #require(table.baseAddress)
        let base = try #require(target.baseAddress)
        return try bytes.withUnsafeBufferPointer { input in
          let start = try #require(input.baseAddress)
          var head = ResponseHead()
          let outcome = ResponseParser.parse(
            start,
            count: bytes.count,
            request: .get,
            limits: HeadLimits(),
            fields: fields,
            into: &head
          )
          #expect(outcome == .complete)
          var writer = ByteWriter(base, capacity: 4_096)
          DownstreamHead.write(
            ResponseView(bytes: start, fields: fields, head: head),
            framing,
            date: Self.date.utf8Start,
            into: &writer
          )
          #expect(!writer.isFull)
          return split(base, writer.count).filter { $0 + "\r\n" != date.description }
        }
      }
    }
  }

  private static func split(_ base: UnsafePointer<UInt8>, _ count: Int) -> [String] {
    let text = String(decoding: UnsafeBufferPointer(start: base, count: count), as: UTF8.self)
    #expect(text.hasSuffix("\r\n\r\n"))
    return text.split(separator: "\r\n").map(String.init)
  }
}

struct ForwardingTests {
  @Test func `a stranger's word on who the client is goes`() throws {
    let lines = try #require(
      try Rewriting.upstream([
        "GET /a HTTP/1.1", "Host: shop.example:8080", "X-Forwarded-For: 10.0.0.1",
        "x-forwarded-for: 10.0.0.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: bank.example",
        "Forwarded: for=10.0.0.1", "X-Request-ID: mine",
      ])
    )
    #expect(
      lines == [
        "GET /normalised HTTP/1.1", "host: shop.example:8080", "via: 1.1 spillway",
        "x-forwarded-for: 192.0.2.7", "x-forwarded-proto: http",
        "x-forwarded-host: shop.example:8080",
        "forwarded: for=192.0.2.7;host=\"shop.example:8080\";proto=http",
        "x-criticality: second", "x-envoy-expected-rq-timeout-ms:   1500",
        "x-request-id: 0123456789abcdef",
      ]
    )
  }

  @Test func `a trusted peer's word is continued`() throws {
    let lines = try #require(
      try Rewriting.upstream(
        [
          "GET /a HTTP/1.1", "Host: shop.example", "X-Forwarded-For: 10.0.0.1",
          "X-Forwarded-For: 10.0.0.2", "X-Forwarded-Proto: https",
          "X-Forwarded-Host: www.example", "Forwarded: for=10.0.0.1",
        ],
        peer: IPBytes(high: 0x2001_0db8 << 32, low: 1),
        isTrusted: true
      )
    )
    #expect(
      lines.dropFirst(3) == [
        "x-forwarded-for: 10.0.0.1, 10.0.0.2, 2001:db8::1", "x-forwarded-proto: https",
        "x-forwarded-host: www.example",
        "forwarded: for=10.0.0.1, for=\"[2001:db8::1]\";host=\"shop.example\";proto=http",
        "x-criticality: second", "x-envoy-expected-rq-timeout-ms:   1500",
        "x-request-id: 0123456789abcdef",
      ]
    )
  }

  @Test func `hop-by-hop fields, and those that Connection names, go`() throws {
    let lines = try #require(
      try Rewriting.upstream([
        "POST /a?q=1&r HTTP/1.1", "Host: h", "Connection: X-Secret, close", "X-Secret: 1",
        "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "X-Kept: 2", "TE: gzip",
        "Upgrade: websocket", "Proxy-Authorization: Basic x", "Connection: ,x-Other,",
        "X-OTHER: 3", "X-Secretly: 4", "Content-Length: 3",
      ])
    )
    #expect(
      lines.prefix { !$0.hasPrefix("via") } == [
        "POST /normalised?q=1&r HTTP/1.1", "host: h", "X-Kept: 2", "X-Secretly: 4",
        "Content-Length: 3",
      ]
    )
  }

  @Test func `a head that does not fit is told of`() throws {
    let head = ["GET / HTTP/1.1", "Host: h", "X: \(String(repeating: "x", count: 500))"]
    let needed = try #require(try Rewriting.upstream(head)).reduce(2) { $0 + $1.utf8.count + 2 }
    for capacity in 0..<needed {
      #expect(try Rewriting.upstream(head, capacity: capacity) == nil)
    }
    #expect(try Rewriting.upstream(head, capacity: needed) != nil)
  }

  @Test func `an upgrade and trailers are asked for on this hop anew`() throws {
    let upgrade = try #require(
      try Rewriting.upstream(
        ["GET / HTTP/1.1", "Host: h", "Connection: Upgrade", "Upgrade: websocket"],
        isUnix: true,
        isUpgrade: true
      )
    )
    #expect(upgrade.contains("connection: upgrade"))
    #expect(upgrade.contains("Upgrade: websocket"))
    #expect(upgrade.contains("x-forwarded-for: unknown"))
    let trailers = try #require(
      try Rewriting.upstream(["GET / HTTP/1.1", "Host: h", "TE: trailers", "Connection: TE"])
    )
    #expect(trailers.contains("te: trailers"))
    #expect(trailers.contains("connection: te"))
  }

  @Test func `a length that a service's Connection names stays, for the body still has it`() throws
  {
    let framing = DownstreamHead.Framing(
      body: .length,
      keepsLength: true,
      connection: nil,
      isUpgrade: false
    )
    let lines = try Rewriting.downstream(
      ["HTTP/1.0 200 OK", "Connection: content-length, x-a", "X-A: 1", "Content-Length: 3"],
      framing
    )
    #expect(lines == ["HTTP/1.1 200 OK", "Content-Length: 3", "via: 1.0 spillway"])
  }

  @Test func `a response loses what concerns the service's hop alone`() throws {
    let framing = DownstreamHead.Framing(
      body: .chunked,
      keepsLength: false,
      connection: "close",
      isUpgrade: false
    )
    let lines = try Rewriting.downstream(
      [
        "HTTP/1.1 200 Fine", "X-First: 1", "Connection: x-Hop, keep-alive", "X-Hop: 2",
        "Keep-Alive: timeout=9", "Transfer-Encoding: chunked", "Upgrade: h2c", "X-Last: 3",
      ],
      framing
    )
    #expect(
      lines == [
        "HTTP/1.1 200 Fine", "X-First: 1", "X-Last: 3", "transfer-encoding: chunked",
        "via: 1.1 spillway", "connection: close",
      ]
    )
  }
}
