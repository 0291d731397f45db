/// One field line of a head or trailer section, as offsets into the buffer it was parsed from.
///
/// A head is at most 16 KiB, so 16-bit offsets reach everywhere and a field fits ten bytes. The
/// value has no optional whitespace at either end; it may be empty.
public struct HeadField: Sendable, BitwiseCopyable {
  /// Offset of the name's first byte.
  public var nameStart: UInt16
  /// Length of the name in bytes, never 0.
  public var nameLength: UInt16
  /// Offset of the value's first byte.
  public var valueStart: UInt16
  /// Length of the value in bytes, without surrounding whitespace.
  public var valueLength: UInt16
  /// What the name means, found without regard to case.
  public var known: KnownField
  /// Whether the field came as a never-indexed literal, to be sent on as one (RFC 7541 section 7.1).
  public var isSensitive: Bool

  @inlinable
  public init(
    nameStart: UInt16 = 0,
    nameLength: UInt16 = 0,
    valueStart: UInt16 = 0,
    valueLength: UInt16 = 0,
    known: KnownField = .other,
    isSensitive: Bool = false
  ) {
    self.nameStart = nameStart
    self.nameLength = nameLength
    self.valueStart = valueStart
    self.valueLength = valueLength
    self.known = known
    self.isSensitive = isSensitive
  }
}
