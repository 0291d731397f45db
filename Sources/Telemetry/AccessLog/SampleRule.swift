public import Units

/// Which share of the access log is kept, by status.
public struct SampleRule: Sendable, Equatable {
  /// The share of what no other entry names, in `0...1`.
  public var standard: Double
  /// The share by the first digit of the status, 1 to 5.
  public var classes: [Int: Double]
  /// The share by status, which comes before its class.
  public var codes: [Int: Double]

  public init(standard: Double = 1, classes: [Int: Double] = [:], codes: [Int: Double] = [:]) {
    self.standard = standard
    self.classes = classes
    self.codes = codes
  }

  /// The rule that `accessLog.sample` writes: keys `2xx`, `404` or `default`.
  ///
  /// Nil when a key is none of these or a share is not in `0...1`.
  public init?(entries: [(key: String, share: Double)]) {
    self.init()
    for (key, share) in entries {
      guard (0...1).contains(share) else { return nil }
      if key == "default" {
        standard = share
      } else if key.utf8.count == 3, key.hasSuffix("xx"), let digit = Int(key.prefix(1)),
        (1...5).contains(digit)
      {
        classes[digit] = share
      } else if let code = Int(key), (100...599).contains(code) {
        codes[code] = share
      } else {
        return nil
      }
    }
  }

  /// The share that is kept of a status.
  public func share(of status: Int) -> Double {
    codes[status] ?? classes[status / 100] ?? standard
  }
}

/// A `SampleRule` as a worker asks it: a table by status.
public final class SampleTable: @unchecked Sendable {
  // Unchecked because of the pointer: the table does not change after init.
  @usableFromInline let thresholds: UnsafePointer<UInt64>

  public init(_ rule: SampleRule) {
    let table = UnsafeMutablePointer<UInt64>.allocate(capacity: 600)
    for status in 0..<600 {
      let share = min(1, max(0, rule.share(of: status)))
      table[status] = UInt64(share * 4_294_967_296)
    }
    thresholds = UnsafePointer(table)
  }

  deinit { thresholds.deallocate() }

  /// Whether a response of this status is logged, given 64 random bits.
  @inlinable
  public func keeps(status: Int, random: UInt64) -> Bool {
    // What is no status, such as 0 for a client that went away early, takes the entry of 0.
    random >> 32 < thresholds[status >= 0 && status < 600 ? status : 0]
  }

  /// Whether a response of this status is logged; draws from the worker's generator.
  @inlinable
  public func keeps(status: Int, using generator: inout SplitMix64) -> Bool {
    keeps(status: status, random: generator.next())
  }
}
