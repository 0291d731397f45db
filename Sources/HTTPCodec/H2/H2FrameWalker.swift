/// Follows the frames in what a peer sends and charges them, before nghttp2 sees any of it.
///
/// nghttp2 tells nothing of frames that it passes over, and tells of the others when the work is
/// done. Walking from header to header costs 5 ns a frame.
struct H2FrameWalker: BitwiseCopyable {
  /// Frame types of RFC 9113 section 6 and RFC 9218 section 7.1.
  private enum Kind {
    static let data: UInt8 = 0x0
    static let headers: UInt8 = 0x1
    static let priority: UInt8 = 0x2
    static let reset: UInt8 = 0x3
    static let settings: UInt8 = 0x4
    static let ping: UInt8 = 0x6
    static let windowUpdate: UInt8 = 0x8
    static let continuation: UInt8 = 0x9
    static let priorityUpdate: UInt8 = 0x10
  }

  private enum Flag {
    static let endStream: UInt8 = 0x1
    static let acknowledgement: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
  }

  /// Bytes of a frame header (RFC 9113 section 4.1).
  static let headerLength = 9
  /// Bytes of a stream's number.
  private static let numberLength = 4
  /// Bytes of PRIORITY's payload; nghttp2 refuses others.
  private static let priorityLength = 5

  /// What a walk found.
  enum Finding {
    case nothing
    /// A budget ran out.
    case exhausted
    /// PRIORITY on the connection, or of a stream on itself: nghttp2 passes over these when it has
    /// RFC 7540's priorities switched off (RFC 9113 section 6.3, RFC 7540 section 5.3.1).
    case violation
  }

  /// Most CONTINUATION frames of one field section.
  let maximumContinuations: Int
  /// Payload, or preface, bytes that are still to be passed over.
  private var skip: Int
  /// The header of the frame under way, as far as it is here, and what counts of its payload.
  private var kept: (UInt64, UInt64) = (0, 0)
  private var keptCount = 0
  private var continuations = 0

  /// - Parameters:
  ///   - prefaceLength: Bytes before the first frame: 24 towards a server.
  ///   - maximumContinuations: The bound for one field section.
  init(prefaceLength: Int, maximumContinuations: Int) {
    skip = prefaceLength
    self.maximumContinuations = maximumContinuations
  }

  /// Charges the frames that begin in `bytes`.
  mutating func walk(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    charging budget: inout AbuseBudget
  ) -> Finding {
    var position = 0
    while true {
      let passed = min(skip, count &- position)
      skip &-= passed
      position &+= passed
      if position == count { return .nothing }
      while keptCount < Self.headerLength, position < count {
        keep(bytes[position])
        position &+= 1
      }
      guard keptCount >= Self.headerLength else { return .nothing }
      let wanted = Self.headerLength &+ payloadWanted
      while keptCount < wanted, position < count {
        keep(bytes[position])
        position &+= 1
      }
      guard keptCount == wanted else { return .nothing }
      if isFaultyPriority { return .violation }
      guard judge(&budget) else { return .exhausted }
      skip = length &- (wanted &- Self.headerLength)
      kept = (0, 0)
      keptCount = 0
    }
  }

  private mutating func keep(_ byte: UInt8) {
    let shift = UInt64(truncatingIfNeeded: (keptCount & 7) &* 8)
    if keptCount < 8 {
      kept.0 |= UInt64(byte) &<< shift
    } else {
      kept.1 |= UInt64(byte) &<< shift
    }
    keptCount &+= 1
  }

  private var length: Int {
    Int(kept.0 & 0xFF) &<< 16 | Int(kept.0 &>> 8 & 0xFF) &<< 8 | Int(kept.0 &>> 16 & 0xFF)
  }
  private var kind: UInt8 { UInt8(truncatingIfNeeded: kept.0 &>> 24) }
  private var flags: UInt8 { UInt8(truncatingIfNeeded: kept.0 &>> 32) }
  private var padLength: Int { Int(kept.1 &>> 8 & 0xFF) }
  /// The stream, without the reserved bit.
  private var stream: UInt32 {
    UInt32(truncatingIfNeeded: kept.0.byteSwapped & 0x7F_FFFF) &<< 8
      | UInt32(truncatingIfNeeded: kept.1 & 0xFF)
  }
  /// What PRIORITY depends on, without the exclusive bit.
  private var dependency: UInt32 {
    UInt32(truncatingIfNeeded: kept.1 &>> 8).byteSwapped & 0x7FFF_FFFF
  }

  /// Bytes of the payload that count.
  private var payloadWanted: Int {
    switch kind {
    case Kind.data, Kind.headers: flags & Flag.padded != 0 && length > 0 ? 1 : 0
    case Kind.priority: length == Self.priorityLength ? Self.numberLength : 0
    default: 0
    }
  }

  private var isFaultyPriority: Bool {
    kind == Kind.priority && length == Self.priorityLength
      && (stream == 0 || stream == dependency)
  }

  /// Whether nothing but padding is in the frame.
  private var isEmpty: Bool {
    length == 0 || (flags & Flag.padded != 0 && padLength &+ 1 >= length)
  }

  @inline(__always)
  private mutating func judge(_ budget: inout AbuseBudget) -> Bool {
    switch kind {
    case Kind.data:
      return flags & Flag.endStream != 0 || !isEmpty || budget.charge(.emptyFrameFlood)
    case Kind.headers:
      continuations = 0
      return flags & Flag.endHeaders != 0 || !isEmpty || budget.charge(.emptyFrameFlood)
    case Kind.continuation:
      continuations &+= 1
      if continuations > maximumContinuations { return budget.charge(.continuationFlood) }
      return length > 0 || budget.charge(.emptyFrameFlood)
    case Kind.priority, Kind.priorityUpdate: return budget.charge(.priorityFlood)
    case Kind.reset: return budget.charge(.rapidReset)
    case Kind.settings:
      return flags & Flag.acknowledgement != 0 || budget.charge(.settingsFlood)
    case Kind.ping: return budget.charge(.pingFlood)
    case Kind.windowUpdate: return budget.charge(.windowUpdateFlood)
    default: return budget.charge(.unknownFrameFlood)
    }
  }
}
