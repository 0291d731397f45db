import HTTPCodec
import Reactor
import Testing

@testable import Edge

/// Requests as the stages behind the parser see them.
enum ParsedRequest {
  /// Parses the lines as a head and lends what the pipeline looks at.
  ///
  /// `path` and `identifier` stand for what the stages before made of them.
  static func withView<Result>(
    _ lines: [String],
    path: String = "/a",
    identifier: String = "0",
    peer: IPBytes = IPBytes(high: 0, low: 0xFFFF_C000_0207),
    isUnix: Bool = false,
    isTrusted: Bool = false,
    _ body: (RequestView) throws -> Result
  ) throws -> Result {
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    let (path, identifier) = (Array(path.utf8), Array(identifier.utf8))
    return try withUnsafeTemporaryAllocation(of: HeadField.self, capacity: 256) { table in
      let fields = try #require(table.baseAddress)
      return try bytes.withUnsafeBufferPointer { input in
        let start = try #require(input.baseAddress)
        var head = RequestHead()
        let outcome = RequestParser.parse(
          start,
          count: bytes.count,
          limits: HeadLimits(),
          fields: fields,
          into: &head
        )
        #expect(outcome == .complete)
        return try path.withUnsafeBufferPointer { path in
          try identifier.withUnsafeBufferPointer { identifier in
            let view = RequestView(
              bytes: start,
              fields: UnsafePointer(fields),
              head: head,
              path: try #require(path.baseAddress),
              pathLength: path.count,
              identifier: try #require(identifier.baseAddress),
              identifierLength: identifier.count,
              peer: peer,
              peerIsUnix: isUnix,
              isTrusted: isTrusted
            )
            return try body(view)
          }
        }
      }
    }
  }
}
