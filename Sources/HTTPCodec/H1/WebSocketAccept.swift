/// What a server answers to a WebSocket handshake's key (RFC 6455 section 4.2.2).
///
/// It is there to show that the server knows the protocol, and protects nothing; SHA-1 (RFC 3174)
/// is good enough for that.
public enum WebSocketAccept {
  /// Bytes of an answer.
  public static let length = 28
  /// The most bytes of a key that are looked at; those of the protocol have 24.
  public static let longestKey = 64

  private static let suffix: StaticString = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
  private static let digits: StaticString =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

  /// Writes the answer to a key.
  ///
  /// - Parameters:
  ///   - key: As the client sent it.
  ///   - count: Its bytes, in `0...longestKey`.
  ///   - output: Room for `length` bytes.
  public static func write(
    key: UnsafePointer<UInt8>,
    count: Int,
    to output: UnsafeMutablePointer<UInt8>
  ) {
    precondition((0...longestKey).contains(count), "unbounded key")
    // Two blocks of 64 bytes hold the longest key, the suffix, the padding and the length.
    var message = InlineArray<128, UInt8>(repeating: 0)
    var end = 0
    for index in 0..<count {
      message[end] = key[index]
      end += 1
    }
    for index in 0..<suffix.utf8CodeUnitCount {
      message[end] = suffix.utf8Start[index]
      end += 1
    }
    message[end] = 0x80
    let blocks = end + 9 <= 64 ? 1 : 2
    message[blocks * 64 - 2] = UInt8(truncatingIfNeeded: (end * 8) >> 8)
    message[blocks * 64 - 1] = UInt8(truncatingIfNeeded: end * 8)
    var state = State()
    for block in 0..<blocks { state.take(message, from: block * 64) }
    encode(state, to: output)
  }

  private struct State {
    var words: InlineArray<5, UInt32> = [
      0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0,
    ]

    mutating func take(_ message: borrowing InlineArray<128, UInt8>, from start: Int) {
      var schedule = InlineArray<80, UInt32>(repeating: 0)
      for index in 0..<16 {
        var word: UInt32 = 0
        for byte in 0..<4 { word = word << 8 | UInt32(message[start + index * 4 + byte]) }
        schedule[index] = word
      }
      for index in 16..<80 {
        let mixed =
          schedule[index - 3] ^ schedule[index - 8] ^ schedule[index - 14] ^ schedule[index - 16]
        schedule[index] = rotated(mixed, 1)
      }
      var (a, b, c, d, e) = (words[0], words[1], words[2], words[3], words[4])
      for index in 0..<80 {
        let (choice, constant): (UInt32, UInt32) =
          switch index {
          case ..<20: (b & c | ~b & d, 0x5A82_7999)
          case ..<40: (b ^ c ^ d, 0x6ED9_EBA1)
          case ..<60: (b & c | b & d | c & d, 0x8F1B_BCDC)
          default: (b ^ c ^ d, 0xCA62_C1D6)
          }
        let next = rotated(a, 5) &+ choice &+ e &+ constant &+ schedule[index]
        (a, b, c, d, e) = (next, a, rotated(b, 30), c, d)
      }
      words[0] &+= a
      words[1] &+= b
      words[2] &+= c
      words[3] &+= d
      words[4] &+= e
    }

    private func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
      word << count | word >> (32 - count)
    }

    /// A byte of the digest; the one behind the last is zero.
    func byte(_ index: Int) -> UInt32 {
      index < 20 ? words[index / 4] >> UInt32(24 - index % 4 * 8) & 0xFF : 0
    }
  }

  /// 20 bytes are 27 digits of six bits, and one to fill up.
  private static func encode(_ state: State, to output: UnsafeMutablePointer<UInt8>) {
    for group in 0..<7 {
      let start = group * 3
      let word = state.byte(start) << 16 | state.byte(start + 1) << 8 | state.byte(start + 2)
      for digit in 0..<4 {
        output[group * 4 + digit] = digits.utf8Start[Int(word >> UInt32(18 - digit * 6) & 63)]
      }
    }
    output[27] = UInt8(ascii: "=")
  }
}
