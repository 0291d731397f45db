public import Units

/// How near this process itself is to its limits, and what it therefore refuses.
///
/// Four pressures of 0 to 1, of which the highest counts: delay of the event loop, memory, descriptors,
/// requests in flight. Refusals come in the order of what they save. New TLS handshakes are the dearest
/// thing that can be refused when the processor is short; then go the classes, lowest first, before a
/// body is read or a token verified; new connections are accepted more slowly, and not at all when
/// memory or descriptors are nearly gone. Health checks and metrics are not asked about here at all:
/// they answer to the last.
///
/// What is refused is admitted again 0.05 lower, so that a pressure near a threshold does not make it
/// flap. The thresholds are those of Envoy's overload manager, moved to classes.
public struct EdgePressure: Sendable {
  /// What is full pressure.
  public struct Settings: Sendable {
    /// Delay of the loop beyond what it was told to sleep.
    public var loopDelay: Nanoseconds
    /// Share of the memory that this process may use, in `0...1`.
    public var memory: Double
    /// Share of the descriptors that it may open, in `0...1`.
    public var descriptors: Double
    /// Requests in flight over all services.
    public var inFlight: Int

    public init(
      loopDelay: Nanoseconds = .milliseconds(50),
      memory: Double = 0.85,
      descriptors: Double = 0.95,
      inFlight: Int = 20_000
    ) {
      self.loopDelay = loopDelay
      self.memory = memory
      self.descriptors = descriptors
      self.inFlight = inFlight
    }
  }

  /// What was measured; one that could not be is left at zero.
  public struct Reading: Sendable, BitwiseCopyable {
    public var loopDelay = Nanoseconds.zero
    /// Used over available, in `0...1`.
    public var memory = 0.0
    public var descriptors = 0.0
    public var inFlight = 0

    public init() {}
  }

  /// Above this new TLS handshakes are refused, by pressure of the loop alone.
  static let handshakes = 0.7
  /// Above this the lowest class is shed; above the second all but the highest.
  static let classes = (lowest: 0.8, all: 0.98)
  /// Above this accepting is slowed, in proportion until nothing is accepted.
  static let accepting = 0.9
  static let relief = 0.05

  private let settings: Settings
  private let count: Int
  /// The pressures of 0 to 1 as they are acted upon.
  public private(set) var loop = 0.0
  public private(set) var memory = 0.0
  public private(set) var descriptors = 0.0
  public private(set) var inFlight = 0.0
  /// The classes that are shed, a bit each, bit 0 for the highest, which never is.
  public private(set) var shedClasses: UInt8 = 0
  /// True while new TLS handshakes are refused.
  public private(set) var refusesHandshakes = false

  public init(settings: Settings = Settings(), classes: Int = 4) {
    self.settings = settings
    count = min(max(classes, 1), PriorityClasses.maximum)
  }

  /// The highest of the four.
  public var pressure: Double { max(max(loop, memory), max(descriptors, inFlight)) }

  /// Takes what was measured, once in about 10 ms.
  ///
  /// The delay of the loop is averaged over some readings, since a single long turn is no overload;
  /// the others are states and count at once.
  public mutating func read(_ reading: Reading) {
    let delay = Self.share(
      Double(reading.loopDelay.rawValue),
      Double(settings.loopDelay.rawValue)
    )
    loop += 0.2 * (delay - loop)
    memory = Self.share(reading.memory, settings.memory)
    descriptors = Self.share(reading.descriptors, settings.descriptors)
    inFlight = Self.share(Double(reading.inFlight), Double(settings.inFlight))
    refusesHandshakes = Self.isAbove(loop, Self.handshakes, before: refusesHandshakes)
    var shed: UInt8 = 0
    for index in 1..<max(count, 1) {
      let bit: UInt8 = 1 << UInt8(index)
      if Self.isAbove(pressure, threshold(index), before: shedClasses & bit != 0) { shed |= bit }
    }
    shedClasses = shed
  }

  /// True when requests of a class are refused, as `RefusalReason.edgeOverload`.
  public func sheds(_ priority: PriorityClass) -> Bool {
    let index = min(Int(priority.rawValue), count - 1)
    return shedClasses >> UInt8(index) & 1 == 1
  }

  /// The share of the usual number of connections that may be accepted in a turn, in `0...1`.
  public var acceptShare: Double {
    if max(memory, descriptors) >= Self.classes.all { return 0 }
    // One in ten stays while only the processor is short, for the highest class may be among them.
    return Bounds.clamp(1 - (pressure - Self.accepting) / (1 - Self.accepting), 0.1, 1)
  }

  /// Where a class begins to be shed: evenly spread from the lowest to the second.
  private func threshold(_ index: Int) -> Double {
    guard count > 2 else { return Self.classes.lowest }
    let place = Double(count - 1 - index) / Double(count - 2)
    return Self.classes.lowest + place * (Self.classes.all - Self.classes.lowest)
  }

  private static func isAbove(_ value: Double, _ threshold: Double, before: Bool) -> Bool {
    value > (before ? threshold - relief : threshold)
  }

  /// A share in `0...1`; a sensor that gives no number must not shed anybody.
  private static func share(_ value: Double, _ full: Double) -> Double {
    guard full > 0 else { return 0 }
    return Bounds.clamp(value / full, 0, 1)
  }
}
