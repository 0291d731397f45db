/// A parsed trailer section.
public struct TrailerSection: Sendable {
  /// Fields in the table.
  public var fieldCount: UInt16 = 0
  /// Length through the empty line.
  public var length: UInt16 = 0

  public init() {}
}

/// Reads the trailer section of a chunked body (RFC 9112 section 7.1.2).
public enum TrailerParser {
  /// Reads a section from the first `count` bytes, which begin behind the last chunk's line.
  ///
  /// Fields that would change the framing are refused: they could only be meant to confuse.
  public static func parse(
    _ bytes: UnsafePointer<UInt8>, count: Int, limits: HeadLimits,
    fields: UnsafeMutablePointer<HeadField>, into trailers: inout TrailerSection
  ) -> ParseOutcome {
    trailers = TrailerSection()
    var section = FieldSection()
    switch section.parse(bytes, count: count, from: 0, limits: limits, fields: fields) {
    case .incomplete: return .incomplete
    case .refused(let fault): return .refused(fault)
    case .complete(let end): trailers.length = UInt16(truncatingIfNeeded: end)
    }
    guard section.contentLength < 0, !section.hasTransferEncoding, section.hostField < 0 else {
      return .refused(.forbiddenTrailer)
    }
    trailers.fieldCount = UInt16(truncatingIfNeeded: section.count)
    return .complete
  }
}
