/// GOAWAY (RFC 9113 section 6.8) written by hand, when the library is out of the game.
enum H2GoAway {
  static let length = 17
  static let settingsLength = 9

  /// Writes SETTINGS without any, for a server that has said nothing else (section 3.4).
  static func writeSettings(to output: UnsafeMutablePointer<UInt8>) {
    output.initialize(repeating: 0, count: settingsLength)
    output[3] = 0x4
  }

  static func write(_ code: H2ErrorCode, last: Int32, to output: UnsafeMutablePointer<UInt8>) {
    output.initialize(repeating: 0, count: length)
    output[2] = 8
    output[3] = 0x7
    store(UInt32(bitPattern: max(0, last)), output + 9)
    store(code.rawValue, output + 13)
  }

  private static func store(_ value: UInt32, _ place: UnsafeMutablePointer<UInt8>) {
    for index in 0..<4 {
      place[index] = UInt8(truncatingIfNeeded: value &>> UInt32(24 &- index &* 8))
    }
  }
}
