/// Gives every path one spelling, so that what is matched is what the upstream reads.
///
/// Escapes of unreserved characters are decoded, the hex of the others is upper-cased, dot segments
/// are removed (`%2e` is a dot) and slashes merged. What servers are known to read differently is
/// refused: a backslash in any form, encoded slashes and control characters, `..` above the root,
/// `..;` (a dot segment to servers that cut path parameters first) and overlong UTF-8 (a slash or a
/// dot to careless decoders). A doubly encoded path stays doubly encoded. Path parameters are kept.
///
/// The result is a fixed point, never longer than its input, made in linear time.
/// Source: RFC 3986 sections 5.2.4 and 6.2.2.
public enum PathNormaliser {
  /// Normalises one path, without its query.
  ///
  /// - Parameters:
  ///   - path: The path as sent. Empty (a target in absolute form may be) becomes `/`; `*` stays.
  ///   - count: Its length in bytes.
  ///   - out: Where the result goes; must not overlap `path`. Undefined after a refusal.
  ///   - capacity: Room at `out`; at least `count` and at least 1, or the path is too long.
  ///   - policy: What to do where servers differ.
  /// - Returns: Whether `path` itself, `out`, or neither is to be used.
  public static func normalise(
    _ path: UnsafePointer<UInt8>,
    count: Int,
    into out: UnsafeMutablePointer<UInt8>,
    capacity: Int,
    policy: PathPolicy = PathPolicy()
  ) -> PathOutcome {
    if count > 0, path[0] == UInt8(ascii: "/"), PathScan.isClean(path, count: count) {
      return .unchanged
    }
    guard capacity >= max(count, 1) else { return .refused(.tooLong) }
    guard count > 0 else {
      out[0] = UInt8(ascii: "/")
      return .rewritten(1)
    }
    guard path[0] == UInt8(ascii: "/") else {
      return count == 1 && path[0] == UInt8(ascii: "*") ? .unchanged : .refused(.notAbsolute)
    }
    var rewriter = PathRewriter(path: path, count: count, out: out, policy: policy)
    return rewriter.run()
  }
}
