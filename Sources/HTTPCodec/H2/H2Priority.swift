/// How urgent a response is (RFC 9218 section 4).
public struct H2Priority: Equatable, Sendable, BitwiseCopyable {
  /// 0 is the most urgent, 7 the least, 3 the default.
  public var urgency: UInt8
  /// Whether the client can use the response in parts, so that equals may share the line.
  public var isIncremental: Bool

  public init(urgency: UInt8 = 3, isIncremental: Bool = false) {
    self.urgency = urgency
    self.isIncremental = isIncremental
  }

  /// Reads a Priority field value or the payload of PRIORITY_UPDATE.
  ///
  /// It is a dictionary (RFC 9651) of which only `u` and `i` mean something here. Parameters and
  /// other members are passed over; a value that is not understood leaves the default, because
  /// priority is a hint and no reason to refuse anything (RFC 9218 section 4).
  ///
  /// - Parameters:
  ///   - text: The field value.
  ///   - count: Its length in bytes.
  public init(parsing text: UnsafePointer<UInt8>, count: Int) {
    self.init()
    var position = 0
    while position < count {
      while position < count, ByteClass.isBlank(text[position]) { position &+= 1 }
      let start = position
      while position < count, text[position] != 0x2C { position &+= 1 }
      read(text + start, count: position &- start)
      position &+= 1
    }
  }

  /// Takes one member, from its key to before the comma.
  private mutating func read(_ text: UnsafePointer<UInt8>, count: Int) {
    guard count > 0, count == 1 || isKeyEnd(text[1]) else { return }
    let hasValue = count > 1 && text[1] == 0x3D
    switch text[0] {
    case 0x75:
      guard hasValue, count >= 3, count == 3 || isKeyEnd(text[3]) else { return }
      let digit = text[2] &- 0x30
      if digit <= 7 { urgency = digit }
    case 0x69:
      guard hasValue else {
        isIncremental = true
        return
      }
      guard count >= 4, text[2] == 0x3F, count == 4 || isKeyEnd(text[4]) else { return }
      if text[3] == 0x31 { isIncremental = true }
      if text[3] == 0x30 { isIncremental = false }
    default: break
    }
  }

  private func isKeyEnd(_ byte: UInt8) -> Bool {
    byte == 0x3D || byte == 0x3B || ByteClass.isBlank(byte)
  }
}
