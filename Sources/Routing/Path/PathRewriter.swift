/// The slow pass of ``PathNormaliser``: writes the path byte by byte and closes each segment.
///
/// Output is never ahead of input, and every byte that a `..` takes back was written once, so the
/// whole is linear.
struct PathRewriter {
  private let path: UnsafePointer<UInt8>
  private let count: Int
  private let out: UnsafeMutablePointer<UInt8>
  private let policy: PathPolicy
  private var written = 1
  /// Where the open segment began in `out`.
  private var segment = 1
  /// Where the open piece began: like `segment`, but a kept `%2F` ends a piece too.
  private var piece = 1

  init(
    path: UnsafePointer<UInt8>,
    count: Int,
    out: UnsafeMutablePointer<UInt8>,
    policy: PathPolicy
  ) {
    self.path = path
    self.count = count
    self.out = out
    self.policy = policy
  }

  mutating func run() -> PathOutcome {
    out[0] = UInt8(ascii: "/")
    var index = 1
    while index < count {
      let byte = path[index]
      let fault: PathFault?
      switch byte {
      case UInt8(ascii: "/"):
        fault = closeSegment(isLast: false)
        index &+= 1
      case UInt8(ascii: "%"):
        fault = escape(at: index)
        index &+= 3
      case 0..<0x20, 0x7F:
        fault = .controlCharacter
      case 0x80...:
        fault = .nonASCII
      case UInt8(ascii: "\\"):
        fault = .backslash
      case UInt8(ascii: " "), UInt8(ascii: "#"), UInt8(ascii: "?"):
        fault = .invalidCharacter
      default:
        fault = nil
        put(byte)
        index &+= 1
      }
      if let fault { return .refused(fault) }
    }
    if let fault = closeSegment(isLast: true) { return .refused(fault) }
    return isUnchanged ? .unchanged : .rewritten(written)
  }

  private var isUnchanged: Bool {
    guard written == count else { return false }
    for index in 0..<count where out[index] != path[index] { return false }
    return true
  }

  private mutating func put(_ byte: UInt8) {
    out[written] = byte
    written &+= 1
  }

  /// Writes the escape at `index`, decoded when its character is unreserved.
  private mutating func escape(at index: Int) -> PathFault? {
    guard let byte = value(at: index) else { return .badEscape }
    switch byte {
    case 0..<0x20, 0x7F:
      return .encodedControlCharacter
    case UInt8(ascii: "\\"):
      return .backslash
    case UInt8(ascii: "/"):
      if policy.encodedSlash == .refuse { return .encodedSlash }
      if isDots(from: piece) { return .disguisedDotSegment }
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "_"), UInt8(ascii: "~"):
      put(byte)
      return nil
    case 0xC0...:
      if isOverlong(byte, next: value(at: index &+ 3)) { return .overlongEncoding }
    default:
      break
    }
    put(UInt8(ascii: "%"))
    put(Self.upperCased(path[index &+ 1]))
    put(Self.upperCased(path[index &+ 2]))
    if byte == UInt8(ascii: "/") { piece = written }
    return nil
  }

  /// The byte that the escape at `index` stands for; nil when there is no whole escape.
  private func value(at index: Int) -> UInt8? {
    guard index &+ 2 < count, path[index] == UInt8(ascii: "%"),
      let high = Self.digit(path[index &+ 1]), let low = Self.digit(path[index &+ 2])
    else { return nil }
    return high &<< 4 | low
  }

  /// Whether the first two bytes of a character spell it longer than needed (RFC 3629 section 3).
  private func isOverlong(_ lead: UInt8, next: UInt8?) -> Bool {
    guard let next else { return false }
    return switch lead {
    case 0xC0, 0xC1: (0x80...0xBF).contains(next)
    case 0xE0: (0x80...0x9F).contains(next)
    case 0xF0: (0x80...0x8F).contains(next)
    default: false
    }
  }

  /// Whether what was written since `start` is a dot segment.
  private func isDots(from start: Int) -> Bool {
    switch written &- start {
    case 1: out[start] == UInt8(ascii: ".")
    case 2: out[start] == UInt8(ascii: ".") && out[start &+ 1] == UInt8(ascii: ".")
    default: false
    }
  }

  /// Whether the open segment is a dot segment once its parameters are cut off.
  private var isDotsWithParameters: Bool {
    let length = written &- segment
    guard length >= 2, out[segment] == UInt8(ascii: ".") else { return false }
    return out[segment &+ 1] == UInt8(ascii: ";")
      || (length >= 3 && out[segment &+ 1] == UInt8(ascii: ".")
        && out[segment &+ 2] == UInt8(ascii: ";"))
  }

  private mutating func closeSegment(isLast: Bool) -> PathFault? {
    if isDots(from: piece) {
      guard piece == segment else { return .disguisedDotSegment }
      if written &- segment == 2 {
        guard segment > 1 else { return .aboveRoot }
        // Back over the slash before this segment, then over the segment before that.
        written = segment &- 1
        while out[written &- 1] != UInt8(ascii: "/") { written &-= 1 }
      } else {
        written = segment
      }
    } else if isDotsWithParameters {
      return .disguisedDotSegment
    } else if isLast {
      return nil
    } else if written > segment {
      put(UInt8(ascii: "/"))
    } else {
      switch policy.repeatedSlashes {
      case .merge: break
      case .keep: put(UInt8(ascii: "/"))
      case .refuse: return .repeatedSlash
      }
    }
    segment = written
    piece = written
    return nil
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
  }

  private static func upperCased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "a") ? byte &- 0x20 : byte
  }
}
