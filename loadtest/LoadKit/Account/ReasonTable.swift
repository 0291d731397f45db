/// Outcomes with their reasons as small numbers, so that counting one is an addition.
///
/// A target chooses the words of its refusals, so the table is bounded: what does not fit counts
/// under its outcome's `other`, and a word is cut to a length and to letters that a report can show.
public struct ReasonTable: Sendable {
  public struct Entry: Equatable, Sendable {
    public let outcome: Outcome
    /// Empty for the good and the late.
    public let name: String

    public init(outcome: Outcome, name: String) {
      self.outcome = outcome
      self.name = name
    }
  }

  /// Most entries, those of the harness included.
  public static let capacity = 64
  /// Bytes of a word.
  public static let maximumWord = 48
  public static let good = 0
  public static let late = 1

  public private(set) var entries: [Entry]
  /// Known words by what they were looked up with: a hash and the outcome.
  private var found: [UInt64: Int] = [:]
  private let others: Int
  private let errors: Int

  public init() {
    entries = [Entry(outcome: .good, name: ""), Entry(outcome: .late, name: "")]
    others = entries.count
    entries += [Outcome.shed, .failed, .error].map { Entry(outcome: $0, name: "other") }
    errors = entries.count
    entries += ErrorReason.allCases.map { Entry(outcome: .error, name: "\($0.name)") }
  }

  /// The place of an error.
  public func place(of reason: ErrorReason) -> Int { errors + Int(reason.rawValue) }

  /// The place of a refusal or failure that the target explained with a word.
  ///
  /// - Parameters:
  ///   - outcome: `shed`, `failed` or `error`.
  ///   - word: Bytes as received.
  /// - Returns: A place in `entries`.
  public mutating func place(of outcome: Outcome, word: UnsafeBufferPointer<UInt8>) -> Int {
    let bytes = UnsafeBufferPointer(rebasing: word.prefix(Self.maximumWord))
    // FNV-1a: a target that finds two words of one hash only spoils its own report.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(outcome.rawValue)
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    if let place = found[hash] { return place }
    let other = others + Int(outcome.rawValue) - Int(Outcome.shed.rawValue)
    guard entries.count < Self.capacity else { return other }
    let name = String(
      decoding: bytes.map { Self.isPlain($0) ? $0 : UInt8(ascii: "?") },
      as: UTF8.self
    )
    let entry = Entry(outcome: outcome, name: name.isEmpty ? "unnamed" : name)
    let place = entries.firstIndex(of: entry) ?? entries.count
    if place == entries.count { entries.append(entry) }
    found[hash] = place
    return place
  }

  /// The place of an answer that is explained by its status only.
  public mutating func place(of outcome: Outcome, status: UInt16) -> Int {
    var text = "status-\(status)"
    return text.withUTF8 { place(of: outcome, word: $0) }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x20, 0x2F, 0x3A: true
    default: false
    }
  }
}
