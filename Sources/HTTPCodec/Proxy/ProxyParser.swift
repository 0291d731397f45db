/// Reads the PROXY prelude that a balancer puts before a client's bytes, version 1 or 2.
///
/// Only bytes of peers that are trusted may come here: a prelude says who the client is, and anybody
/// can write one. It keeps nothing between calls: show it all bytes so far, from the first.
/// Source: "The PROXY protocol", HAProxy Technologies, 2020-03-05.
public enum ProxyParser {
  /// The largest prelude that any bound may allow: one buffer block.
  public static let largestPrelude = 16_384
  /// Addresses take 52 bytes, what clouds add some hundred, a client's certificate 1 to 2 KiB.
  public static let defaultMaximumBytes = 4_096

  /// Bytes of `PROXY ` and of the binary signature; what begins like neither is no prelude.
  static let lineSignature: StaticString = "PROXY "
  static let binarySignature: StaticString = "\r\n\r\n\0\r\nQUIT\n"

  /// Parses a prelude at the start of `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: The connection's first bytes.
  ///   - count: How many.
  ///   - maximumBytes: The bound for version 2, in `16...largestPrelude`.
  ///   - prelude: Overwritten; meaningful after `complete`.
  /// - Returns: The prelude's length, or why there is none.
  public static func parse(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    maximumBytes: Int = defaultMaximumBytes,
    into prelude: inout ProxyPrelude
  ) -> ProxyOutcome {
    precondition((16...largestPrelude).contains(maximumBytes), "unvalidated settings")
    prelude = ProxyPrelude()
    if begins(bytes, count, lineSignature) {
      guard count >= lineSignature.utf8CodeUnitCount else { return .incomplete }
      return ProxyLine.parse(bytes, count: count, into: &prelude)
    }
    if begins(bytes, count, binarySignature) {
      return ProxyHeader.parse(bytes, count: count, maximumBytes: maximumBytes, into: &prelude)
    }
    return .absent
  }

  /// Whether all bytes that are there agree with the signature.
  private static func begins(
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    _ signature: StaticString
  ) -> Bool {
    let start = signature.utf8Start
    for index in 0..<min(count, signature.utf8CodeUnitCount) where bytes[index] != start[index] {
      return false
    }
    return true
  }
}
