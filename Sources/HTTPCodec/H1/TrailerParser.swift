/// A parsed trailer section.
public struct TrailerSection: Sendable, BitwiseCopyable {
  /// Fields in the table.
  public var fieldCount: UInt16 = 0
  /// Length of the section through its empty line; the next message starts here.
  public var length: UInt16 = 0

  /// An empty section for the parser to fill.
  @inlinable
  public init() {}
}

/// Reads the trailer section behind the last chunk.
///
/// Source: RFC 9112 section 7.1.2. Fields that RFC 9110 section 6.5.1 keeps out of trailers because
/// they frame, route or belong to the connection are refused: a recipient that merges trailers into
/// the head would obey them.
public enum TrailerParser {
  /// Parses the trailer section at the start of `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: What follows the line of the last chunk; more than the section may be there.
  ///   - count: How many.
  ///   - limits: Bounds for the section.
  ///   - fields: Room for `limits.maximumFields` fields. Entries up to `section.fieldCount` are
  ///     set after `.complete`.
  ///   - section: Overwritten.
  /// - Returns: `.complete` with `section` and `fields` filled, or why not.
  public static func parse(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    limits: HeadLimits,
    fields: UnsafeMutablePointer<HeadField>,
    into section: inout TrailerSection
  ) -> ParseOutcome {
    let end = min(count, limits.maximumBytes)
    section = TrailerSection()
    var position = 0
    var fieldCount = 0
    while true {
      if fieldCount == limits.maximumFields, position < end, bytes[position] != 0x0D {
        return .refused(.tooManyFields)
      }
      let field = fields + fieldCount
      switch FieldLine.read(bytes, into: field, position: &position, end: end) {
      case .field:
        fieldCount &+= 1
        if isForbidden(field.pointee.known) { return .refused(.forbiddenTrailer) }
      case .end:
        section.fieldCount = UInt16(truncatingIfNeeded: fieldCount)
        section.length = UInt16(truncatingIfNeeded: position)
        return .complete
      case .incomplete:
        return count >= limits.maximumBytes ? .refused(.headTooLarge) : .incomplete
      case .refused(let fault): return .refused(fault)
      }
    }
  }

  static func isForbidden(_ known: KnownField) -> Bool {
    switch known {
    case .host, .contentLength, .transferEncoding, .connection, .keepAlive, .proxyConnection, .te,
      .trailer, .upgrade, .expect:
      true
    default: false
    }
  }
}
