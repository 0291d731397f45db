public import Units

/// What the reports of a service are used for.
///
/// Source: gRFC A58, "Client-side weighted round robin LB policy", and its defaults; Wydrowski et al.,
/// "Load is not what you should balance: Introducing Prequal", NSDI 2024.
public struct LoadReportSettings: Hashable, Sendable, BitwiseCopyable {
  /// Weights follow from them.
  public var usesWeights = true
  /// They tell the limit of the service when it must not grow.
  public var informsLimit = true
  /// How much more a share of errors weighs than one of utilization; 0 for nothing.
  public var errorPenalty = 1.0
  /// From the first report of an endpoint on, its weight is not used for this long: it is just
  /// starting, and what it says of itself is not yet what it will be.
  public var blackout = Nanoseconds.seconds(10)
  /// For how long a weight is used that no report renews.
  public var expiration = Nanoseconds.seconds(180)
  /// An endpoint with more in flight than this share of them is hot, in `0...1`.
  public var hotQuantile = 0.84

  public init() {}

  /// The utilization that counts.
  ///
  /// `named`: A named metric takes the place of the others.
  public static func utilization(_ report: LoadReport, named: Bool) -> Double {
    if named { return report.namedMetric }
    return report.applicationUtilization > 0 ? report.applicationUtilization : report.cpuUtilization
  }

  /// What an endpoint can do by its own word: requests per second for each unit of what these use.
  ///
  /// - Parameters:
  ///   - report: Its word.
  ///   - utilization: The one that counts.
  /// - Returns: A weight, finite; 0 where the report does not say enough.
  public func weight(_ report: LoadReport, utilization: Double) -> Double {
    let rate = report.requestsPerSecond
    guard rate > 0, utilization > 0 else { return 0 }
    let used = utilization + report.errorsPerSecond / rate * errorPenalty
    return min(rate / used, Self.mostWeight)
  }

  /// So that any sum of them is finite.
  static let mostWeight = 1e18
}

/// Weights as they are used: whole numbers around that of the mean.
///
/// Source: gRPC's static stride scheduler, which keeps weights within a hundredth and ten times of
/// their mean.
public struct ReportedWeights: BitwiseCopyable, Sendable {
  /// The weight of the mean, and the bounds that follow from it; the greatest is the greatest that an
  /// operator can write.
  public static let usual: Int32 = 100
  static let most: Int32 = 1_000

  /// All but the greatest, and that one: of a difference of sums nothing small would be left.
  private var rest = 0.0
  private var greatest = 0.0
  private var count = 0

  public init() {}

  /// Takes the weight of an endpoint, 0 where it has none.
  public mutating func add(_ weight: Double) {
    guard weight > 0 else { return }
    rest += min(weight, greatest)
    greatest = max(weight, greatest)
    count += 1
  }

  /// Whether they are of use: of one alone nobody knows how much more or less it can do than others.
  public var areOfUse: Bool { count > 1 }

  /// The weight that one is used with; who has none counts as the mean of the others.
  ///
  /// In the mean the greatest one counts as ten of the others at most: a single wild report would else
  /// leave the others next to nothing, and its endpoint nearly all requests.
  public func scaled(_ weight: Double) -> Int32 {
    guard weight > 0, areOfUse else { return Self.usual }
    let counted = min(greatest, 10 * rest / Double(count - 1))
    let share = weight / ((rest + counted) / Double(count)) * Double(Self.usual)
    // Neither end is passed by it, whatever it is.
    guard share > 1 else { return 1 }
    return share < Double(Self.most) ? Int32(share.rounded()) : Self.most
  }
}
