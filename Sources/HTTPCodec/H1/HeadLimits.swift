/// Bounds on a head or trailer section.
public struct HeadLimits: Sendable, BitwiseCopyable {
  /// The largest head any limit may allow: one buffer block, and what 16-bit offsets address.
  public static let largestHead = 16_384
  /// The most fields any limit may allow.
  public static let mostFields = 1_024

  /// Bytes from the first byte to the end of the empty line, in `16...largestHead`.
  public let maximumBytes: Int
  /// Field lines, in `1...mostFields`.
  public let maximumFields: Int
  /// Bytes of the request target, in `1...largestHead`.
  public let maximumTarget: Int

  /// Defaults: a whole block for a head, 100 fields (what common servers allow) and the 8,000
  /// octets for a target that RFC 9110 section 4.1 asks every recipient to support.
  public init(maximumBytes: Int = 16_384, maximumFields: Int = 100, maximumTarget: Int = 8_000) {
    precondition((16...Self.largestHead).contains(maximumBytes), "unvalidated settings")
    precondition((1...Self.mostFields).contains(maximumFields), "unvalidated settings")
    precondition((1...Self.largestHead).contains(maximumTarget), "unvalidated settings")
    self.maximumBytes = maximumBytes
    self.maximumFields = maximumFields
    self.maximumTarget = maximumTarget
  }
}
