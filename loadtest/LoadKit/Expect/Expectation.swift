public import Units

/// One line of an `expect` block: a measure, a comparison and a bound.
///
/// ```
/// expectation := [class "."] measure ["in" phase] comparison bound
///              | "backend." counter comparison bound           what services counted, all together
/// measure     := success | late | shed | failed | errors       a share of what was offered
///              | goodput | offered | attempts                  per second
///              | p50 | p90 | p99.9 | ... | mean | maximum      latency of what was served
/// comparison  := ">=" | "<=" | ">" | "<" | "=="
/// bound       := number "%" | number "/s" | number "% of capacity" | "% of offered" | duration
///              | number "x" "unloaded" | number                number of requests
/// ```
public struct Expectation: Equatable, Sendable {
  public enum Measure: Equatable, Sendable {
    case share(Share)
    case rate(Rate)
    /// Percentage in `0...100`.
    case percentile(Double)
    case mean
    /// A counter of the simulated services over the run, by its name there.
    case backend(String)
  }

  public enum Share: String, CaseIterable, Sendable {
    case success, late, shed, failed, errors
  }

  public enum Rate: String, CaseIterable, Sendable {
    case goodput, offered, attempts
  }

  public enum Comparison: String, CaseIterable, Sendable {
    // The longer ones first: they begin with the shorter.
    case atLeast = ">="
    case atMost = "<="
    case equal = "=="
    case above = ">"
    case below = "<"
  }

  public enum Bound: Equatable, Sendable {
    /// In `0...100`: as a share, 99.9 % would not be the number that 999 of 1,000 is.
    case percent(Double)
    case perSecond(Double)
    case percentOfCapacity(Double)
    /// Of the requests that callers meant to send, tries again not counted.
    case percentOfOffered(Double)
    case duration(Nanoseconds)
    case timesUnloaded(Double)
    case count(Double)
  }

  /// Where an expectation cannot be understood.
  public struct Fault: Error, Equatable {
    /// Characters from its start.
    public var offset: Int
    public var message: String
  }

  /// Words that no class may have as its name.
  static let reserved = Set(
    ["all", "backend", "in", "of", "x", "capacity", "unloaded", "mean", "maximum"]
      + Share.allCases.map(\.rawValue) + Rate.allCases.map(\.rawValue)
  )

  /// As written.
  public let text: String
  /// A place among the classes; `nil` for all together.
  public let priority: Int?
  public let measure: Measure
  /// A place among the phases; `nil` for all but the calm one.
  public let phase: Int?
  public let comparison: Comparison
  public let bound: Bound

  /// Reads one expectation.
  ///
  /// - Parameters:
  ///   - text: The whole line.
  ///   - classes: Names that may stand before the measure.
  ///   - phases: Names that may stand behind `in`.
  ///   - hasUnloaded: Whether there is a calm stretch to compare with.
  /// - Throws: The first fault, and where.
  public init(
    _ text: String,
    classes: [String],
    phases: [String],
    hasUnloaded: Bool
  ) throws(Fault) {
    var parser = ExpectationParser(text)
    self.text = text
    (priority, measure) = try parser.measure(classes: classes)
    if case .backend = measure { phase = nil } else { phase = try parser.phase(phases) }
    comparison = try parser.comparison()
    bound = try parser.bound(for: measure, hasUnloaded: hasUnloaded)
  }
}
