/// A run as a report: what was asked, what came of it, and whether it can be believed.
public struct RunReport: Codable, Sendable {
  public struct Latencies: Codable, Sendable, Equatable {
    /// Milliseconds, of what was served.
    public var p50 = 0.0
    public var p90 = 0.0
    public var p99 = 0.0
    public var p999 = 0.0
    public var maximum = 0.0
    public var mean = 0.0
  }

  public struct ClassFigures: Codable, Sendable {
    public var name: String
    public var offered: UInt64
    public var attempts: UInt64
    public var good: UInt64
    public var late: UInt64
    public var shed: UInt64
    public var failed: UInt64
    public var errors: UInt64
    /// Requests by reason: `shed queue-full`, `error timed-out`.
    public var reasons: [String: UInt64]
    public var latency: Latencies
    /// 99th percentile of how long a refusal took, in milliseconds.
    public var refusalP99: Double

    /// Served in time, of what was offered; in `0...1`.
    public var success: Double { offered == 0 ? 0 : Double(good) / Double(offered) }
  }

  public struct PhaseFigures: Codable, Sendable {
    public var name: String
    /// As the scenario says it, such as `10x`.
    public var load: String
    /// Seconds from the start of the run.
    public var start: Double
    public var duration: Double
    /// In the order of the scenario's classes.
    public var classes: [ClassFigures]
    public var all: ClassFigures
  }

  /// One class over time, a value for each interval.
  public struct Series: Codable, Sendable {
    public var name: String
    public var offered: [UInt32]
    public var attempts: [UInt32]
    public var good: [UInt32]
    public var late: [UInt32]
    public var shed: [UInt32]
    public var failed: [UInt32]
    public var errors: [UInt32]
    /// Milliseconds; 0 where nothing was served.
    public var p50: [Double]
    public var p99: [Double]
    /// By reason, those that occurred.
    public var reasons: [String: [UInt32]]
  }

  public struct Harness: Codable, Sendable {
    /// Lag of the harness's own sends, in milliseconds.
    public var lagP50 = 0.0
    public var lagP99 = 0.0
    public var lagMaximum = 0.0
    public var connects: UInt64 = 0
    public var connectFailures: UInt64 = 0
    public var mostConnections = 0
    public var waited: UInt64 = 0
    public var resent: UInt64 = 0
    public var unsolicited: UInt64 = 0
    public var bytesReceived: UInt64 = 0
    /// Seconds.
    public var processorTime = 0.0
    /// Share of the machine's processors that were busy, by whomever; in `0...1`.
    public var machineBusy = 0.0

    public init() {}
  }

  public struct Judgement: Codable, Sendable, Equatable {
    public var text: String
    public var isMet: Bool
    public var found: String

    public init(text: String, isMet: Bool, found: String) {
      self.text = text
      self.isMet = isMet
      self.found = found
    }
  }

  public var version = 1
  public var name: String
  public var about: String
  public var target: String
  public var arrivals: String
  public var seed: UInt64
  /// ISO 8601.
  public var startedAt: String
  /// Requests per second, and how it is known.
  public var capacity: Double
  public var capacitySource: String
  /// Why the run says nothing; empty when it can be believed.
  public var problems: [String]
  /// What a reader should know all the same.
  public var notes: [String]
  public var harness: Harness
  /// Seconds.
  public var duration: Double
  public var interval: Double
  public var phases: [PhaseFigures]
  public var series: [Series]
  public var expectations: [Judgement]
  /// The simulated service's own counters over the run, where there is one.
  public var backend: [String: Double]

  public init(
    name: String,
    about: String,
    target: String,
    arrivals: String,
    seed: UInt64,
    startedAt: String,
    capacity: Double,
    capacitySource: String,
    problems: [String],
    notes: [String],
    harness: Harness,
    duration: Double,
    interval: Double,
    phases: [PhaseFigures],
    series: [Series],
    expectations: [Judgement],
    backend: [String: Double]
  ) {
    self.name = name
    self.about = about
    self.target = target
    self.arrivals = arrivals
    self.seed = seed
    self.startedAt = startedAt
    self.capacity = capacity
    self.capacitySource = capacitySource
    self.problems = problems
    self.notes = notes
    self.harness = harness
    self.duration = duration
    self.interval = interval
    self.phases = phases
    self.series = series
    self.expectations = expectations
    self.backend = backend
  }

  /// Whether every expectation was met by a run that can be believed.
  public var isPassed: Bool { problems.isEmpty && expectations.allSatisfy(\.isMet) }
}
