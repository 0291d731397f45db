internal import Admission

/// The form in which it is kept: lines of text, so that an operator can read it.
///
/// ```
/// spillway-learned 2
/// saved 1767225600
/// service orders latency-gradient 1767225590 41.2 0.0213 0.0248 1.02 0.0251
/// route checkout 1.31
/// endpoint orders 1 0 1767225590 orders.internal:8080
/// name orders.internal 10.0.1.5
/// end 8f0c5a1be44d2f07
/// ```
///
/// A service's numbers are those of `LearnedLimit`, in its order; numbers read back as they were. The
/// last line has the FNV-1a hash of all lines before, against halves of files and bits that fell over.
extension LearnedState {
  /// Services beyond it are left out: an edge that has so many learns anew what is missing.
  static let maximumBytes = 8 << 20
  private static let version = "spillway-learned 2"
  /// It had neither lists nor names.
  private static let firstVersion = "spillway-learned 1"
  static let longestName = 256

  var text: String {
    // Without either, a process of an older version can begin with it as well.
    let version = lists.isEmpty && names.isEmpty ? Self.firstVersion : Self.version
    var text = "\(version)\nsaved \(savedAt)\n"
    for service in services {
      let limit = service.limit
      var part =
        "service \(service.name) \(service.kind) \(service.learnedAt) \(limit.limit)"
        + " \(limit.baseline) \(limit.meanLatency) \(limit.meanWeight) \(limit.usualLatency)\n"
      for route in service.routes { part += "route \(route.name) \(route.weight)\n" }
      guard text.utf8.count + part.utf8.count < Self.maximumBytes - 64 else { break }
      text += part
    }
    addLists(to: &text, room: Self.maximumBytes - 64)
    return text + "end \(Self.hash(text.utf8))\n"
  }

  /// Reads what `text` wrote.
  ///
  /// - Throws: `otherVersion` or `damaged`; nothing of such a text is used.
  init(_ bytes: [UInt8]) throws(LearnedFault) {
    guard bytes.count <= Self.maximumBytes else { throw .tooLarge }
    let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    let isFirst = lines.first?.elementsEqual(Self.firstVersion.utf8) == true
    guard isFirst || lines.first?.elementsEqual(Self.version.utf8) == true else {
      throw bytes.starts(with: "spillway-learned ".utf8)
        ? LearnedFault.otherVersion : LearnedFault.damaged
    }
    // Behind the last line feed comes nothing.
    guard lines.count >= 4, lines[lines.count - 1].isEmpty else { throw .damaged }
    let end = lines[lines.count - 2]
    let content = bytes[..<end.startIndex]
    guard end.elementsEqual("end \(Self.hash(content))".utf8) else { throw .damaged }
    self.init(savedAt: 0, services: [])
    for (number, line) in lines.dropFirst().dropLast(2).enumerated() {
      let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
      try take(words, isFirst: number == 0)
    }
    guard Set(services.map(\.name)).count == services.count, areListsSound else { throw .damaged }
    guard !isFirst || lists.isEmpty && names.isEmpty else { throw .damaged }
  }

  private mutating func take(_ words: [String], isFirst: Bool) throws(LearnedFault) {
    switch (words.first, words.count) {
    case ("saved", 2) where isFirst:
      guard let moment = Self.moment(words[1]) else { throw .damaged }
      savedAt = moment
    case ("endpoint", _) where !isFirst: try takeEndpoint(words)
    case ("name", _) where !isFirst: try takeName(words)
    case ("service", 9) where !isFirst && lists.isEmpty && names.isEmpty:
      guard let moment = Self.moment(words[3]), Self.isName(words[1]), Self.isName(words[2]) else {
        throw .damaged
      }
      var numbers: [Double] = []
      for word in words[4...] {
        guard let number = Double(word), (0...1e9).contains(number) else { throw .damaged }
        numbers.append(number)
      }
      services.append(
        Service(
          name: words[1],
          kind: words[2],
          learnedAt: moment,
          limit: LearnedLimit(
            limit: numbers[0],
            baseline: numbers[1],
            meanLatency: numbers[2],
            meanWeight: numbers[3],
            usualLatency: numbers[4]
          )
        )
      )
    case ("route", 3) where !services.isEmpty && lists.isEmpty && names.isEmpty:
      guard let weight = Double(words[2]), weight > 0, weight <= 1e9, Self.isName(words[1]) else {
        throw .damaged
      }
      services[services.count - 1].routes.append(Route(name: words[1], weight: weight))
    default: throw .damaged
    }
  }

  private static func isName(_ word: String) -> Bool { isWord(word, longestName) }

  /// Whether a text is one word of a line.
  static func isWord(_ text: String, _ longest: Int) -> Bool {
    (1...longest).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
  }

  /// Seconds since 1970, far enough from the ends to be added to.
  static func moment(_ word: String) -> Int64? {
    Int64(word).flatMap { (0...1 << 40).contains($0) ? $0 : nil }
  }

  /// FNV-1a of 64 bits in hexadecimal (Fowler, Noll, Vo).
  private static func hash(_ bytes: some Sequence<UInt8>) -> String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    let text = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}
