extension KnownField {
  /// Recognises a field name without regard to case.
  ///
  /// The length and one letter leave at most one candidate, which is then compared whole.
  static func recognise(_ name: UnsafePointer<UInt8>, _ length: Int) -> KnownField {
    let candidate = candidate(name, length)
    guard candidate != .other else { return .other }
    return Scan.equals(name, length, candidate.name) ? candidate : .other
  }

  @inline(__always)
  private static func candidate(_ name: UnsafePointer<UInt8>, _ length: Int) -> KnownField {
    let first = name[0] | 0x20
    switch length {
    case 2: return .te
    case 3: return .via
    case 4: return pick(first, "h", .host, "d", .date, "e", .etag, "v", .vary)
    case 5: return .range
    case 6:
      if first == UInt8(ascii: "a") { return .accept }
      return pick(
        first, "c", .cookie, "e", .expect, "o", .origin,
        "s", .server, "p", .pragma)
    case 7: return pick(first, "u", .upgrade, "t", .trailer, "r", .referer, "-", .other)
    case 8: return .location
    case 9: return .forwarded
    case 10:
      return pick(
        first, "c", .connection, "u", .userAgent, "k", .keepAlive,
        "s", .setCookie, "t", .tracestate)
    case 11: return pick(first, "t", .traceparent, "r", .retryAfter, "-", .other, "-", .other)
    case 12: return pick(first, "c", .contentType, "x", .xRequestID, "-", .other, "-", .other)
    case 13:
      return pick(
        first, "a", .authorization, "c", .cacheControl, "i", .ifNoneMatch, "l", .lastModified)
    case 14: return pick(first, "c", .contentLength, "h", .http2Settings, "-", .other, "-", .other)
    case 15:
      if first == UInt8(ascii: "x") { return .xForwardedFor }
      guard first == UInt8(ascii: "a") else { return .idempotencyKey }
      return name[7] | 0x20 == UInt8(ascii: "e") ? .acceptEncoding : .acceptLanguage
    case 16:
      if first == UInt8(ascii: "x") {
        return name[12] | 0x20 == UInt8(ascii: "h") ? .xForwardedHost : .other
      }
      return pick(first, "c", .contentEncoding, "p", .proxyConnection, "-", .other, "-", .other)
    case 17:
      if first == UInt8(ascii: "x") { return .xForwardedProto }
      return pick(first, "t", .transferEncoding, "i", .ifModifiedSince, "-", .other, "-", .other)
    case 18: return .proxyAuthenticate
    case 19: return .proxyAuthorization
    case 25: return .upgradeInsecureRequests
    default: return .other
    }
  }

  @inline(__always)
  private static func pick(
    _ first: UInt8, _ a: Unicode.Scalar, _ forA: KnownField, _ b: Unicode.Scalar,
    _ forB: KnownField, _ c: Unicode.Scalar, _ forC: KnownField, _ d: Unicode.Scalar,
    _ forD: KnownField, _ e: Unicode.Scalar = "-", _ forE: KnownField = .other
  ) -> KnownField {
    if first == UInt8(ascii: a) { return forA }
    if first == UInt8(ascii: b) { return forB }
    if first == UInt8(ascii: c) { return forC }
    if first == UInt8(ascii: d) { return forD }
    if first == UInt8(ascii: e) { return forE }
    return .other
  }
}
