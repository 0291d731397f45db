/// What a name server answered to a question for SRV records.
///
/// The library's own reader loses the TTL, so this one reads the message: header, questions and
/// answers as RFC 1035 section 4 lays them out, and the records of RFC 2782. Whoever sent it may lie
/// in every byte; what does not add up is no answer.
public struct ServiceAnswer: Sendable, Equatable {
  /// At least one.
  public var records: [ServiceRecord]
  /// The smallest of the answer's, in seconds.
  public var ttl: Int32

  private static let serviceType: UInt16 = 33
  private static let headerBytes = 12
  /// Bytes of a name as it is sent, and so the labels that one can have (RFC 1035 section 2.3.4).
  private static let longestName = 255

  /// Reads a whole message.
  ///
  /// - Returns: `nil` for what breaks the rules, or has no SRV record of a usable name.
  public init?(_ message: [UInt8]) {
    var reader = Reader(bytes: message)
    guard message.count >= Self.headerBytes else { return nil }
    reader.at = 4
    guard let questions = reader.number(), let answers = reader.number() else { return nil }
    reader.at = Self.headerBytes
    for _ in 0..<questions {
      guard reader.name() != nil, reader.skip(4) else { return nil }
    }
    var found: [ServiceRecord] = []
    var least = Int32.max
    for _ in 0..<answers {
      guard reader.name() != nil, let type = reader.number(), reader.skip(2),
        let high = reader.number(), let low = reader.number(), let length = reader.number()
      else { return nil }
      let end = reader.at + Int(length)
      guard end <= message.count else { return nil }
      // A TTL with the first bit set counts as none (RFC 2181 section 8).
      let ttl = high < 0x8000 ? Int32(high) << 16 | Int32(low) : 0
      least = min(least, ttl)
      if type == Self.serviceType {
        guard let priority = reader.number(), let weight = reader.number(),
          let port = reader.number(), let target = reader.name(), reader.at == end
        else { return nil }
        found.append(
          ServiceRecord(target: target, port: port, priority: priority, weight: weight)
        )
      }
      reader.at = end
    }
    guard !found.isEmpty else { return nil }
    records = found
    ttl = least
  }

  private struct Reader {
    let bytes: [UInt8]
    var at = 0

    mutating func skip(_ count: Int) -> Bool {
      guard count <= bytes.count - at else { return false }
      at += count
      return true
    }

    /// Two bytes, the high one first.
    mutating func number() -> UInt16? {
      guard bytes.count - at >= 2 else { return nil }
      defer { at += 2 }
      return UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
    }

    /// A name in lower case, its labels with dots between; `nil` where it does not end, or has other
    /// bytes than those of hosts and services.
    mutating func name() -> String? {
      var text: [UInt8] = []
      var place = at
      var end: Int?
      // Each step takes a label or goes back, and neither can go on for long.
      var hops = 0
      while place < bytes.count {
        let length = Int(bytes[place])
        if length >= 0xC0 {
          guard place + 1 < bytes.count else { return nil }
          let target = (length & 0x3F) << 8 | Int(bytes[place + 1])
          hops += 1
          // Only what lies before can be meant (RFC 1035 section 4.1.4): so there is no circle.
          guard target < place, hops <= ServiceAnswer.longestName / 2 else { return nil }
          if end == nil { end = place + 2 }
          place = target
          continue
        }
        guard length <= 63, place + length < bytes.count else { return nil }
        if length == 0 {
          at = end ?? place + 1
          return String(decoding: text, as: UTF8.self)
        }
        if !text.isEmpty { text.append(UInt8(ascii: ".")) }
        for byte in bytes[(place + 1)...(place + length)] {
          guard let letter = Self.letter(byte) else { return nil }
          text.append(letter)
        }
        // The first length and the last one are not in the text.
        guard text.count + 2 <= ServiceAnswer.longestName else { return nil }
        place += length + 1
      }
      return nil
    }

    private static func letter(_ byte: UInt8) -> UInt8? {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "_"):
        byte
      default: nil
      }
    }
  }
}
