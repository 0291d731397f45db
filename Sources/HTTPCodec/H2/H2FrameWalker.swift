/// Follows the frames in what a peer sends and charges them, before nghttp2 sees any of it.
///
/// nghttp2 tells nothing of frames that it passes over, and tells of the others when the work is
/// done. Walking from header to header costs 5 ns a frame.
struct H2FrameWalker: BitwiseCopyable {
  /// Frame types of RFC 9113 section 6 and RFC 9218 section 7.1.
  enum Kind {
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

  enum Flag {
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
    /// What nghttp2 would pass over: PRIORITY on the connection, or of a stream on itself, when it
    /// has RFC 7540's priorities switched off (RFC 9113 section 6.3, RFC 7540 section 5.3.1), and
    /// frames on streams that cannot be open (`H2StreamHistory`).
    case violation(H2ErrorCode)
  }

  /// Most CONTINUATION frames of one field section.
  let maximumContinuations: Int
  /// Payload, or preface, bytes that are still to be passed over.
  private var skip: Int
  /// The header of the frame under way, as far as it is here, and what counts of its payload.
  private var kept: (UInt64, UInt64) = (0, 0)
  private var keptCount = 0
  private var continuations = 0
  /// Whether a field section has begun and not ended (RFC 9113 section 4.3).
  private var isSectionOpen = false
  /// Whether the section is not the first of its stream: trailers, or behind the end of all.
  private var isBehind = false
  /// Bytes of the section, and how many a section within the bound of its list can have.
  private var sectionBytes = 0
  private let mostSection: Int
  /// Whether what is passed over belongs to a body: those have a pace of their own.
  private var isBody = false
  /// Whether the peer opens streams, and has to keep to the numbers of those that it ended.
  private let peerIsClient: Bool
  private var history = H2StreamHistory()
  /// Frames that were judged, up to and with the one that ended the connection.
  private(set) var frames: UInt64 = 0
  /// Frames that were begun, those that only continue a field section not counted.
  private(set) var messages: UInt32 = 0

  /// Whether a frame, or a field section, is there in part and the connection waits for the rest.
  var isAmid: Bool { isSectionOpen || keptCount > 0 || (skip > 0 && !isBody) }

  /// - Parameters:
  ///   - isServer: Whether the peer is a client, which begins with a preface of 24 bytes.
  ///   - maximumContinuations: The bound for one field section.
  ///   - maximumList: The bound for a list of fields in bytes, as RFC 9113 section 6.5.2 counts them.
  init(isServer: Bool, maximumContinuations: Int, maximumList: Int) {
    peerIsClient = isServer
    mostSection = maximumList
    skip = isServer ? 24 : 0
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
      frames &+= 1
      if isFaultyPriority { return .violation(.protocolError) }
      if kind == Kind.headers { isBehind = history.hasBegun(stream) }
      // Inside a field section any other frame is an error already (section 4.3).
      if peerIsClient, !isSectionOpen, let code = history.judge(kind, flags, stream) {
        return .violation(code)
      }
      guard judge(&budget) else { return .exhausted }
      isBody = kind == Kind.data
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

  /// Whether there is less in a DATA frame than its header took.
  private var isTiny: Bool {
    let padding = flags & Flag.padded != 0 ? padLength &+ 1 : 0
    return length &- padding < Self.headerLength
  }

  @inline(__always)
  private mutating func judge(_ budget: inout AbuseBudget) -> Bool {
    if kind != Kind.continuation { messages &+= 1 }
    switch kind {
    case Kind.data:
      if flags & Flag.endStream != 0 || !isTiny { return true }
      return budget.charge(isEmpty ? .emptyFrameFlood : .tinyFrameFlood)
    case Kind.headers:
      continuations = 0
      sectionBytes = 0
      isSectionOpen = flags & Flag.endHeaders == 0
      guard chargeSection(&budget) else { return false }
      return flags & Flag.endHeaders != 0 || !isEmpty || budget.charge(.emptyFrameFlood)
    case Kind.continuation:
      continuations &+= 1
      if flags & Flag.endHeaders != 0 { isSectionOpen = false }
      if continuations > maximumContinuations { return budget.charge(.continuationFlood) }
      guard chargeSection(&budget) else { return false }
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

  /// Charges what of a client's field section may be decoded without a word of its fields.
  ///
  /// nghttp2 keeps its table in step with sections on streams that it has let go or refuses itself,
  /// and tells nobody. Trailers pay like that, too, as they look the same here; whole exchanges earn
  /// it back. A section longer than any within the bound of its list pays half of that for the rest:
  /// that may be a browser with too many cookies.
  private mutating func chargeSection(_ budget: inout AbuseBudget) -> Bool {
    guard peerIsClient else { return true }
    if isBehind {
      let weight =
        length > AbuseBudget.usualTrailers ? length : 1 &+ length / AbuseBudget.bytesPerToken
      return budget.charge(.fieldFlood, weight)
    }
    let before = sectionBytes
    sectionBytes &+= length
    let over = sectionBytes &- max(before, mostSection)
    return over <= 0 || budget.charge(.fieldFlood, over / (2 * AbuseBudget.bytesPerToken))
  }
}
