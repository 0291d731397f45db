/// Reads HTTP/1.x request heads (RFC 9112), strictly: what two parsers could read in two ways is
/// refused, since that is how requests are smuggled.
///
/// It keeps nothing between calls. A head that is not whole yet is read again from its start, so
/// the caller calls again only when a line may have been completed. Whatever is invalid is
/// refused as soon as the bytes show it, whole head or not.
public enum RequestParser {
  /// Longest method, in bytes: the registry's longest has 17.
  static let maximumMethod = 32

  /// Reads a head from the first `count` bytes.
  ///
  /// - Parameters:
  ///   - fields: Room for `limits.maximumFields`.
  ///   - head: Filled in; meaningful only after `.complete`.
  public static func parse(
    _ bytes: UnsafePointer<UInt8>, count: Int, limits: HeadLimits,
    fields: UnsafeMutablePointer<HeadField>, into head: inout RequestHead
  ) -> ParseOutcome {
    var start = 0
    // One empty line before a request is forgiven (RFC 9112 section 2.2).
    if count > 0, bytes[0] == 0x0D {
      guard count > 1 else { return .incomplete }
      guard bytes[1] == 0x0A else { return .refused(.bareCarriageReturn) }
      start = 2
    }
    head = RequestHead()
    var at = start
    switch requestLine(bytes, count, start, limits, &head) {
    case .incomplete:
      return count >= limits.maximumBytes ? .refused(.headTooLarge) : .incomplete
    case .refused(let fault): return .refused(fault)
    case .complete(let end): at = end
    }
    head.fieldsStart = UInt16(truncatingIfNeeded: at)
    var section = FieldSection()
    switch section.parse(bytes, count: count, from: at, limits: limits, fields: fields) {
    case .incomplete: return .incomplete
    case .refused(let fault): return .refused(fault)
    case .complete(let end): head.headLength = UInt16(truncatingIfNeeded: end)
    }
    head.fieldCount = UInt16(truncatingIfNeeded: section.count)
    if let fault = conclude(bytes, section, fields, &head) { return .refused(fault) }
    return .complete
  }

  private static func requestLine(
    _ bytes: UnsafePointer<UInt8>, _ count: Int, _ start: Int, _ limits: HeadLimits,
    _ head: inout RequestHead
  ) -> FieldSection.Outcome {
    let bound = min(count, limits.maximumBytes)
    var at = start
    while at < bound, ByteClass.isToken(bytes[at]) { at &+= 1 }
    guard at &- start <= maximumMethod else { return .refused(.methodTooLong) }
    guard at < bound else { return .incomplete }
    guard bytes[at] == 0x20, at > start else {
      return .refused(bytes[at] == 0x0A ? .bareLineFeed : .malformedMethod)
    }
    head.methodStart = UInt16(truncatingIfNeeded: start)
    head.methodLength = UInt16(truncatingIfNeeded: at &- start)
    head.method = method(bytes + start, at &- start)

    let target = at &+ 1
    at = Scan.targetEnd(bytes, from: target, count: bound)
    guard at &- target <= limits.maximumTarget else { return .refused(.targetTooLong) }
    guard at < bound else { return .incomplete }
    guard bytes[at] == 0x20, at > target else { return .refused(targetFault(bytes[at])) }
    head.targetStart = UInt16(truncatingIfNeeded: target)
    head.targetLength = UInt16(truncatingIfNeeded: at &- target)
    if let fault = readTarget(bytes, target, at, &head) { return .refused(fault) }

    return version(bytes, bound, at &+ 1, &head)
  }

  private static func targetFault(_ byte: UInt8) -> ParseFault {
    switch byte {
    case 0x0A: .bareLineFeed
    // The line ends where a version should follow: HTTP/0.9.
    case 0x0D: .malformedVersion
    default: .malformedTarget
    }
  }

  /// `HTTP/1.1` and the line's end, exactly.
  private static func version(
    _ bytes: UnsafePointer<UInt8>, _ bound: Int, _ start: Int, _ head: inout RequestHead
  ) -> FieldSection.Outcome {
    let text: StaticString = "HTTP/"
    for index in 0..<5 {
      guard start &+ index < bound else { return .incomplete }
      guard bytes[start &+ index] == text.utf8Start[index] else {
        return .refused(bytes[start &+ index] == 0x0A ? .bareLineFeed : .malformedVersion)
      }
    }
    guard start &+ 5 < bound else { return .incomplete }
    let major = bytes[start &+ 5]
    guard ByteClass.isDigit(major) else { return .refused(.malformedVersion) }
    guard start &+ 6 < bound else { return .incomplete }
    guard bytes[start &+ 6] == 0x2E else { return .refused(.malformedVersion) }
    guard start &+ 7 < bound else { return .incomplete }
    let minor = bytes[start &+ 7]
    guard ByteClass.isDigit(minor) else { return .refused(.malformedVersion) }
    guard start &+ 8 < bound else { return .incomplete }
    guard bytes[start &+ 8] == 0x0D else {
      return .refused(bytes[start &+ 8] == 0x0A ? .bareLineFeed : .malformedVersion)
    }
    guard start &+ 9 < bound else { return .incomplete }
    guard bytes[start &+ 9] == 0x0A else { return .refused(.bareCarriageReturn) }
    guard major == 0x31 else { return .refused(.unsupportedVersion) }
    guard minor <= 0x31 else { return .refused(.unsupportedVersion) }
    head.minorVersion = minor &- 0x30
    return .complete(start &+ 10)
  }

  private static func method(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Method {
    switch (count, bytes[0]) {
    case (3, UInt8(ascii: "G")): exactly(bytes, .get)
    case (3, UInt8(ascii: "P")): exactly(bytes, .put)
    case (4, UInt8(ascii: "H")): exactly(bytes, .head)
    case (4, UInt8(ascii: "P")): exactly(bytes, .post)
    case (5, UInt8(ascii: "P")): exactly(bytes, .patch)
    case (5, UInt8(ascii: "T")): exactly(bytes, .trace)
    case (6, UInt8(ascii: "D")): exactly(bytes, .delete)
    case (7, UInt8(ascii: "O")): exactly(bytes, .options)
    case (7, UInt8(ascii: "C")): exactly(bytes, .connect)
    default: .other
    }
  }

  /// Methods are case-sensitive (RFC 9110 section 9.1).
  private static func exactly(_ bytes: UnsafePointer<UInt8>, _ method: Method) -> Method {
    let name = method.name
    for index in 0..<name.utf8CodeUnitCount where bytes[index] != name.utf8Start[index] {
      return .other
    }
    return method
  }

  // MARK: - What the head means

  private static func conclude(
    _ bytes: UnsafePointer<UInt8>, _ section: FieldSection, _ fields: UnsafePointer<HeadField>,
    _ head: inout RequestHead
  ) -> ParseFault? {
    if section.hasTransferEncoding {
      guard section.contentLength < 0 else { return .conflictingFraming }
      guard head.minorVersion == 1 else { return .transferEncodingInHTTP10 }
      head.isChunked = true
    }
    head.contentLength = section.contentLength
    head.keepsAlive =
      head.minorVersion == 1 ? !section.closes : section.keepsAlive && !section.closes
    head.connectionNamesOthers = section.namesOthers
    head.acceptsTrailers = section.acceptsTrailers
    if head.minorVersion == 1 {
      head.expectsContinue = section.expectsContinue
      head.wantsUpgrade = section.namesUpgrade && section.hasUpgrade
    }
    return concludeHost(bytes, section, fields, &head)
  }

  private static func concludeHost(
    _ bytes: UnsafePointer<UInt8>, _ section: FieldSection, _ fields: UnsafePointer<HeadField>,
    _ head: inout RequestHead
  ) -> ParseFault? {
    guard section.hostField >= 0 else {
      return head.minorVersion == 1 ? .missingHost : nil
    }
    let field = fields[section.hostField]
    let start = Int(field.valueStart)
    let length = Int(field.valueLength)
    guard let host = Authority.parse(bytes + start, length) else { return .malformedHost }
    if head.authorityLength > 0 {
      // The target's own authority rules, but two that differ are one of two attacks.
      let isSame = Authority.isSame(
        bytes + Int(head.authorityStart), Int(head.authorityLength), bytes + start, length)
      return isSame ? nil : .disagreeingHost
    }
    head.authorityStart = field.valueStart
    head.authorityLength = field.valueLength
    head.hostLength = UInt16(truncatingIfNeeded: host.hostLength)
    head.port = host.port
    return nil
  }
}
