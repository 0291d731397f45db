/// Writes bytes of strangers as JSON strings (RFC 8259 section 7).
public enum JSONText {
  /// Appends `bytes` in quotation marks.
  ///
  /// What is not UTF-8 becomes U+FFFD, one for each ill-formed part (Unicode 15, section 3.9), and
  /// every control character is escaped, so that a log viewed in a terminal cannot steer it.
  static func append(_ bytes: UnsafeRawBufferPointer, to line: inout [UInt8]) {
    line.append(UInt8(ascii: "\""))
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if byte >= 0x20, byte < 0x7F {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
          line.append(UInt8(ascii: "\\"))
        }
        line.append(byte)
        index += 1
      } else if byte < 0x80 {
        escape(UInt32(byte), to: &line)
        index += 1
      } else {
        index += appendSequence(bytes, at: index, to: &line)
      }
    }
    line.append(UInt8(ascii: "\""))
  }

  /// The text as a JSON string with its quotation marks.
  public static func literal(_ text: String) -> String {
    String(decoding: quoted(text), as: UTF8.self)
  }

  static func quoted(_ text: String) -> [UInt8] {
    var line: [UInt8] = []
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0), to: &line) }
    return line
  }

  /// Appends the sequence that begins at `start` and gives its length.
  private static func appendSequence(
    _ bytes: UnsafeRawBufferPointer,
    at start: Int,
    to line: inout [UInt8]
  ) -> Int {
    let lead = bytes[start]
    let (length, lowest, highest): (Int, UInt8, UInt8) =
      switch lead {
      case 0xC2...0xDF: (2, 0x80, 0xBF)
      case 0xE0: (3, 0xA0, 0xBF)
      case 0xED: (3, 0x80, 0x9F)
      case 0xE1...0xEF: (3, 0x80, 0xBF)
      case 0xF0: (4, 0x90, 0xBF)
      case 0xF1...0xF3: (4, 0x80, 0xBF)
      case 0xF4: (4, 0x80, 0x8F)
      default: (1, 1, 0)
      }
    var good = 1
    while good < length, start + good < bytes.count {
      let range = good == 1 ? lowest...highest : 0x80...0xBF
      guard range.contains(bytes[start + good]) else { break }
      good += 1
    }
    if length == 1 || good < length {
      escape(0xFFFD, to: &line)
    } else if lead == 0xC2, bytes[start + 1] < 0xA0 {
      escape(UInt32(bytes[start + 1]), to: &line)
    } else {
      line.append(contentsOf: bytes[start..<start + length])
    }
    return good
  }

  private static func escape(_ unit: UInt32, to line: inout [UInt8]) {
    line.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "u")])
    for shift in [12, 8, 4, 0] as [UInt32] {
      let digit = UInt8((unit >> shift) & 0xF)
      line.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }
  }
}
