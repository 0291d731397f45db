/// Who an event is for: the owner packs a kind, an index and a generation into it.
///
/// The reactor carries it and never looks inside.
public struct Owner: Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// - Parameters:
  ///   - kind: What the index counts, in `0...255`.
  ///   - index: A slab index.
  ///   - generation: The entry's generation; its lower 24 bits are kept.
  @inlinable
  public init(kind: UInt8, index: Int32, generation: UInt32) {
    rawValue =
      UInt64(kind) << 56 | UInt64(generation & 0xFF_FFFF) << 32
      | UInt64(UInt32(bitPattern: index))
  }

  @inlinable
  public var kind: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 56) }

  @inlinable
  public var index: Int32 { Int32(truncatingIfNeeded: rawValue) }

  /// The lower 24 bits of the entry's generation.
  @inlinable
  public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) & 0xFF_FFFF }
}

/// Something that happened, with the numbers that its kind needs.
public struct Event {
  public enum Kind: UInt8 {
    /// Nothing is left in this turn.
    case none
    /// `value` bytes from the start of `block`, whose one reference is the receiver's now.
    case received
    /// The peer will send no more.
    case endOfStream
    /// The output queue fell below its low watermark, or emptied, as the owner asked.
    case drained
    /// An outgoing connection stands.
    case connected
    /// The socket broke; `value` is the error number. The owner still has to close it.
    case failed
    /// `value` is a new descriptor, non-blocking, owned by the receiver.
    case accepted
    /// A watched foreign descriptor is ready; `value` is the mask.
    case ready
    /// The owner's timer ran out.
    case timer
    /// Another thread rang.
    case mailbox
  }

  public var kind: Kind
  public var owner: Owner
  public var value: Int32
  public var block: Int32

  init(_ kind: Kind, _ owner: Owner, value: Int32 = 0, block: Int32 = -1) {
    self.kind = kind
    self.owner = owner
    self.value = value
    self.block = block
  }
}
