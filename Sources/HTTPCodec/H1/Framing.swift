/// What Content-Length and Transfer-Encoding of one head say together.
///
/// Source: RFC 9112 sections 6.1 to 6.3 and RFC 9110 section 8.6. Where these allow a recipient to
/// choose a reading, the message is refused: the peer behind us might choose the other.
struct Framing {
  /// The body's length in bytes, or -1.
  var contentLength: Int64 = -1
  var isChunked = false

  @inline(__always)
  mutating func addContentLength(
    _ bytes: UnsafePointer<UInt8>,
    _ field: HeadField
  ) -> ParseFault? {
    if contentLength >= 0 { return .repeatedContentLength }
    if isChunked { return .conflictingFraming }
    let length = Int(field.valueLength)
    // 19 digits hold 63 bits; longer runs of leading zeros have no honest use.
    guard length >= 1, length <= 19 else { return .malformedContentLength }
    let value = bytes + Int(field.valueStart)
    var sum: UInt64 = 0
    for index in 0..<length {
      let digit = value[index] &- 0x30
      guard digit < 10 else { return .malformedContentLength }
      // 19 nines stay below 2^64, so only the end needs to be compared.
      sum = sum &* 10 &+ UInt64(digit)
    }
    guard sum <= UInt64(Int64.max) else { return .malformedContentLength }
    contentLength = Int64(truncatingIfNeeded: sum)
    return nil
  }

  @inline(__always)
  mutating func addTransferEncoding(
    _ bytes: UnsafePointer<UInt8>,
    _ field: HeadField,
    minorVersion: UInt8
  ) -> ParseFault? {
    if isChunked { return .repeatedTransferEncoding }
    if contentLength >= 0 { return .conflictingFraming }
    if minorVersion == 0 { return .transferEncodingInHTTP10 }
    let start = Int(field.valueStart)
    let length = Int(field.valueLength)
    guard Token.isChunked(bytes, start, length) else {
      return TransferCodings.fault(bytes, start: start, end: start &+ length)
    }
    isChunked = true
    return nil
  }
}

/// The reasons for which a Transfer-Encoding other than `chunked` is refused.
enum TransferCodings {
  private enum Seen { case none, chunked, unknown }

  /// Classifies a value that is not exactly `chunked`.
  ///
  /// An unknown coding before a final `chunked`, or alone, is something we do not implement (501);
  /// everything else could be read in two ways (400).
  @inline(never)
  static func fault(_ bytes: UnsafePointer<UInt8>, start: Int, end: Int) -> ParseFault {
    var position = start
    var sawChunked = false
    while true {
      var element = ListElement(bytes, from: position, end: end)
      guard element.length > 0 else { return .malformedTransferEncoding }
      // A coding after `chunked` could hide the end of the body.
      if sawChunked { return .malformedTransferEncoding }
      if Token.isChunked(bytes, element.start, element.length) {
        sawChunked = true
        guard element.isWhole else { return .malformedTransferEncoding }
      } else if !element.isWhole {
        guard element.skipParameters(bytes, end: end) else { return .malformedTransferEncoding }
      }
      if element.next < 0 { break }
      position = element.next
    }
    return .unknownTransferEncoding
  }
}
