internal import HTTPCodec

/// Names of fields that strangers must not bring to a service.
enum ForgedName {
  /// Whether the field is left out.
  ///
  /// `isTrusted`: Whether the peer's word about the client counts.
  static func isLeftOut(
    _ name: UnsafePointer<UInt8>,
    _ count: Int,
    isTrusted: Bool
  ) -> Bool {
    if KnownField.lookalike(name, count: count) != .other { return true }
    return !isTrusted && speaksForClient(name, count)
  }

  /// What other proxies say about a client, which services tend to believe.
  ///
  /// Spillway says it in `x-forwarded-*` and `forwarded` alone.
  private static func speaksForClient(_ name: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    guard (9...24).contains(count) else { return false }
    switch name[0] | 0x20 {
    case UInt8(ascii: "x"):
      return matches(name, count, "x-real-ip") || matches(name, count, "x-client-ip")
        || matches(name, count, "x-forwarded-port") || matches(name, count, "x-forwarded-server")
        || matches(name, count, "x-forwarded-prefix") || matches(name, count, "x-forwarded-by")
        || matches(name, count, "x-cluster-client-ip")
        || matches(name, count, "x-original-forwarded-for")
        || matches(name, count, "x-envoy-external-address")
    case UInt8(ascii: "t"): return matches(name, count, "true-client-ip")
    case UInt8(ascii: "c"): return matches(name, count, "cf-connecting-ip")
    default: return false
    }
  }

  private static func matches(
    _ name: UnsafePointer<UInt8>,
    _ count: Int,
    _ expected: StaticString
  ) -> Bool {
    guard expected.utf8CodeUnitCount == count else { return false }
    for index in 0..<count {
      let byte = name[index]
      let lower = byte >= 65 && byte <= 90 ? byte | 0x20 : byte
      if lower != expected.utf8Start[index] { return false }
    }
    return true
  }
}
