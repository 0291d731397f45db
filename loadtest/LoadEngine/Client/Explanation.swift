/// What a problem document says (RFC 9457), without reading it as a whole.
enum Explanation {
  private static let key = Array("\"reason\":".utf8)

  /// The text of the first member `reason`; nil when there is none, or it is no plain text.
  static func reason(in body: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
    var start = 0
    while start + key.count < body.count {
      guard body[start] == key[0], body[start..<start + key.count].elementsEqual(key) else {
        start += 1
        continue
      }
      start += key.count
      if start < body.count, body[start] == UInt8(ascii: " ") { start += 1 }
      guard start < body.count, body[start] == UInt8(ascii: "\"") else { return nil }
      let rest = body[(start + 1)...]
      guard let end = rest.firstIndex(of: UInt8(ascii: "\"")) else { return nil }
      return UnsafeBufferPointer(rebasing: body[(start + 1)..<end])
    }
    return nil
  }
}

/// The reasons of refusals whose bodies come in pieces, wherever the pieces end.
struct Explanations {
  /// Bytes of a body in which a reason is looked for.
  static let maximumBytes = 1_024

  /// What came so far of those that have not told theirs, by call.
  private var begun: [Int32: [UInt8]] = [:]

  /// Looks for a reason, and keeps the piece when it may be in the next one.
  ///
  /// - Parameters:
  ///   - piece: What came of the body now.
  ///   - call: Whose answer it is.
  ///   - use: Gets the word.
  /// - Returns: What `use` makes of it; nil while there is none.
  mutating func find<Found>(
    in piece: UnsafeBufferPointer<UInt8>,
    of call: Int32,
    _ use: (UnsafeBufferPointer<UInt8>) -> Found
  ) -> Found? {
    if !begun.isEmpty, var text = begun.removeValue(forKey: call) {
      text.append(contentsOf: piece.prefix(Self.maximumBytes - text.count))
      let found = text.withUnsafeBufferPointer { Explanation.reason(in: $0).map(use) }
      if found == nil { begun[call] = text }
      return found
    }
    let start = UnsafeBufferPointer(rebasing: piece.prefix(Self.maximumBytes))
    if let word = Explanation.reason(in: start) { return use(word) }
    // Only what can be a problem document is worth the keeping.
    if start.first == UInt8(ascii: "{") { begun[call] = Array(start) }
    return nil
  }

  /// An answer ended, with a reason or without.
  mutating func ended(_ call: Int32) {
    if !begun.isEmpty { begun[call] = nil }
  }
}
