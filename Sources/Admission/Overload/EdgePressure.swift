public import Units

/// How near this process itself is to its limits, and what it therefore refuses.
///
/// Six pressures of 0 to 1: delay of the event loop, memory, descriptors, client connections, requests
/// in flight, and buffers. All but the connections shed classes, the highest of them counts; a table
/// of clients that is full of idle ones says nothing about requests, so it only slows accepting.
///
/// ```
/// 0.70  of the loop          new TLS handshakes are refused: the dearest thing that can be
/// 0.80 ... 0.98              classes are shed, the lowest first, the highest never
/// 0.90                       accepting slows down; clients of HTTP/2 get fewer streams
/// 0.95  of memory            new TLS handshakes are refused, as each of them takes some
/// 0.98  memory, descriptors  nothing is accepted
/// ```
///
/// Health checks and metrics are not asked about here at all: they answer to the last. What is
/// refused is admitted again 0.05 lower, so that a pressure near a threshold does not make it flap.
///
/// The delay of the loop is averaged over a tenth of a second and more, since a single long turn is
/// no overload; the others are states, and count at once. Source: the resource monitors and scaled
/// triggers of Envoy's overload manager, moved to classes.
public struct EdgePressure: Sendable {
  /// What presses.
  public enum Kind: Int, Sendable, CaseIterable {
    case loopDelay, memory, descriptors, connections, inFlight, buffers
  }

  /// What is full pressure; 0 stands for a bound that is not known, which never presses.
  public struct Settings: Sendable, Equatable {
    /// Time that an event has to wait for the loop at which the pressure is 1.
    public var loopDelay: Nanoseconds
    /// Share of the memory at which the lowest class begins to be shed, in `0...1`.
    ///
    /// Two thirds of what is left above it is full pressure. It is not itself full pressure, as with
    /// the others, since a process that uses two thirds of its memory is well.
    public var memory: Double
    /// Descriptors that the process may have; the pressure is 1 at 95 % of them, for some are needed
    /// to tell what is going on.
    public var descriptors: Int
    /// Client connections that all listeners may have together.
    public var connections: Int
    /// Requests in flight over all services at which the pressure is 1.
    public var inFlight: Int

    /// Defaults: the shortest time that a request of a standing class may wait for a service; where
    /// Envoy's guide for edges begins to act on memory; requests that hold 313 MiB of blocks.
    public init(
      loopDelay: Nanoseconds = .milliseconds(50),
      memory: Double = 0.85,
      descriptors: Int = 0,
      connections: Int = 0,
      inFlight: Int = 20_000
    ) {
      self.loopDelay = loopDelay
      self.memory = memory
      self.descriptors = descriptors
      self.connections = connections
      self.inFlight = inFlight
    }

    /// The pressure of one kind, in `0...1`, where nothing is averaged.
    public func pressure(of kind: Kind, in reading: Reading) -> Double {
      switch kind {
      case .loopDelay:
        EdgePressure.share(Double(reading.loopDelay.rawValue), Double(loopDelay.rawValue))
      case .memory: EdgePressure.lateShare(reading.memory, from: memory)
      case .descriptors:
        EdgePressure.share(Double(reading.descriptors), 0.95 * Double(descriptors))
      case .connections: EdgePressure.share(Double(reading.connections), Double(connections))
      case .inFlight: EdgePressure.share(Double(reading.inFlight), Double(inFlight))
      case .buffers:
        EdgePressure.lateShare(
          EdgePressure.share(Double(reading.buffers), Double(reading.mostBuffers)),
          from: EdgePressure.buffersBegin
        )
      }
    }
  }

  /// What was measured; one that could not be is left at zero.
  public struct Reading: Sendable, BitwiseCopyable {
    /// The longest that an event had to wait since the reading before.
    public var loopDelay = Nanoseconds.zero
    /// Used over available, in `0...1`.
    public var memory = 0.0
    public var descriptors = 0
    public var connections = 0
    public var inFlight = 0
    /// Blocks of one worker that hold bytes, and those that it may have; 0 where that is not known.
    public var buffers = 0
    public var mostBuffers = 0

    public init() {}
  }

  /// Above this new TLS handshakes are refused, by pressure of the loop and of memory.
  static let handshakes = (loop: 0.7, memory: 0.95)
  /// Above this the lowest class is shed; above the second all but the highest.
  static let classes = (lowest: 0.8, all: 0.98)
  /// Above this accepting is slowed, in proportion until nothing is accepted.
  static let accepting = 0.9
  /// Above this clients of HTTP/2 get fewer streams.
  static let streams = 0.9
  /// The share of a worker's buffers at which the lowest class begins to be shed.
  ///
  /// Clients that hold many and take nothing are ended from three quarters on, within seconds; refusals
  /// and the highest class need the rest.
  static let buffersBegin = 0.875
  /// Buffers that a request takes: its head, and what came of its body.
  static let buffersOfRequest = 2
  /// How much lower than it began a measure ends.
  static let relief = 0.05
  /// Time over which the delay of the loop is averaged.
  static let memoryOfLoop = Nanoseconds.milliseconds(100)
  /// What one reading may add to the average at most, however long ago the one before was.
  static let mostOfOneReading = 0.2
  /// Clients are told another number of streams this often at most, since each has to be told.
  static let streamInterval = Nanoseconds.seconds(1)

  public private(set) var settings: Settings
  private let count: Int
  private var readAt = Instant(.min)
  private var inFlightRead = 0
  private var buffersRead = (used: 0, most: 0)
  private var streamsChangedAt = Instant(.min)
  private var pressures = InlineArray<6, Double>(repeating: 0)
  /// The classes that are shed, a bit each, bit 0 for the highest, which never is.
  public private(set) var shedClasses: UInt8 = 0
  /// What handshakes are refused for.
  private var isSlow = false
  private var isFull = false
  /// True while clients of HTTP/2 get fewer streams.
  public private(set) var narrowsStreams = false

  /// - Parameters:
  ///   - settings: What is full.
  ///   - classes: Priority classes of the process, 1 to 8.
  public init(settings: Settings = Settings(), classes: Int = 4) {
    self.settings = settings
    count = min(max(classes, 1), PriorityClasses.maximum)
  }

  /// Another configuration took effect; what is refused now is judged anew with the next reading.
  public mutating func adopt(_ settings: Settings) { self.settings = settings }

  public subscript(_ kind: Kind) -> Double { pressures[kind.rawValue] }

  /// The pressure that classes are shed by: the highest but for the connections.
  public var pressure: Double { self[leading] }

  /// What presses most of what classes are shed by.
  public var leading: Kind {
    var found = Kind.loopDelay
    for kind in [Kind.memory, .descriptors, .inFlight, .buffers] where self[kind] > self[found] {
      found = kind
    }
    return found
  }

  /// Takes what was measured.
  ///
  /// The same instant may be read again, which says nothing new of the loop.
  ///
  /// - Parameters:
  ///   - reading: What was measured since the reading before.
  ///   - now: The present; it never falls.
  public mutating func read(_ reading: Reading, at now: Instant) {
    noteLoop(settings.pressure(of: .loopDelay, in: reading), at: now)
    pressures[Kind.memory.rawValue] = settings.pressure(of: .memory, in: reading)
    pressures[Kind.descriptors.rawValue] = settings.pressure(of: .descriptors, in: reading)
    pressures[Kind.connections.rawValue] = settings.pressure(of: .connections, in: reading)
    pressures[Kind.inFlight.rawValue] = settings.pressure(of: .inFlight, in: reading)
    pressures[Kind.buffers.rawValue] = settings.pressure(of: .buffers, in: reading)
    inFlightRead = max(0, reading.inFlight)
    buffersRead = (max(0, reading.buffers), reading.mostBuffers)
    isSlow = Self.isAbove(self[.loopDelay], Self.handshakes.loop, before: isSlow)
    isFull = Self.isAbove(self[.memory], Self.handshakes.memory, before: isFull)
    var shed: UInt8 = 0
    for index in 1..<max(count, 1) {
      let bit: UInt8 = 1 << UInt8(index)
      if Self.isAbove(pressure, threshold(index), before: shedClasses & bit != 0) { shed |= bit }
    }
    shedClasses = shed
    let narrows = Self.isAbove(pressure, Self.streams, before: narrowsStreams)
    if narrows != narrowsStreams,
      streamsChangedAt == Instant(.min) || now - streamsChangedAt >= Self.streamInterval
    {
      narrowsStreams = narrows
      streamsChangedAt = now
    }
  }

  /// A long time without a reading ends what was, and begins nothing.
  private mutating func noteLoop(_ delay: Double, at now: Instant) {
    defer { readAt = now }
    let before = self[.loopDelay]
    guard readAt != Instant(.min) else { return }
    let span = Double(max(0, (now - readAt).rawValue))
    var weight = span / (span + Double(Self.memoryOfLoop.rawValue))
    if delay > before { weight = min(weight, Self.mostOfOneReading) }
    pressures[Kind.loopDelay.rawValue] = before + weight * (delay - before)
  }

  /// True while new TLS handshakes are refused.
  public var refusesHandshakes: Bool { isSlow || isFull }

  /// True when requests of a class are refused, as `RefusalReason.edgeOverload`.
  public func sheds(_ priority: PriorityClass) -> Bool {
    let index = min(Int(priority.rawValue), count - 1)
    return shedClasses >> UInt8(index) & 1 == 1
  }

  /// The share of the usual number of connections that may be accepted, in `0...1`.
  public var acceptShare: Double {
    if max(self[.memory], self[.descriptors]) >= Self.classes.all { return 0 }
    // One in ten stays while only the processor is short, for the highest class may be among them.
    let highest = max(pressure, self[.connections])
    return Bounds.clamp(1 - (highest - Self.accepting) / (1 - Self.accepting), 0.1, 1)
  }

  /// Whether nothing is refused or slowed, and the delay of the loop is next to nothing: readings may
  /// stop until something happens.
  public var isCalm: Bool {
    shedClasses == 0 && !refusesHandshakes && !narrowsStreams && acceptShare == 1
      && self[.loopDelay] < 0.01
  }

  /// How many more requests may begin in all of the process before another class may have to be shed;
  /// at least 1.
  public var inFlightRoom: Int {
    room { Int($0 * Double(settings.inFlight)) + 1 - inFlightRead }
  }

  /// The same of the worker whose buffers were read, by those.
  public var bufferRoom: Int {
    guard buffersRead.most > 0 else { return .max }
    return room { threshold in
      let used = Self.used(at: threshold, from: Self.buffersBegin)
      return (Int(used * Double(buffersRead.most)) + 1 - buffersRead.used) / Self.buffersOfRequest
    }
  }

  /// The least of what is left to the thresholds of classes that are not shed.
  private func room(_ left: (Double) -> Int) -> Int {
    var room = Int.max
    for index in 1..<max(count, 1) where shedClasses >> UInt8(index) & 1 == 0 {
      room = min(room, left(threshold(index)))
    }
    return max(1, room)
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

  /// The pressure of what may be used up to a share before anything is done: classes begin to be shed
  /// there, and two thirds of what is left above it is full pressure.
  fileprivate static func lateShare(_ used: Double, from begin: Double) -> Double {
    let lowest = classes.lowest
    guard used > begin else { return lowest * share(used, begin) }
    return lowest + (1 - lowest) * share(used - begin, (1 - begin) * 2 / 3)
  }

  /// The share in use at such a pressure, of at least that at which classes begin to be shed.
  private static func used(at pressure: Double, from begin: Double) -> Double {
    begin + (pressure - classes.lowest) / (1 - classes.lowest) * (1 - begin) * 2 / 3
  }

  /// A share in `0...1`; a sensor that gives no number must not shed anybody.
  fileprivate static func share(_ value: Double, _ full: Double) -> Double {
    guard full > 0 else { return 0 }
    return Bounds.clamp(value / full, 0, 1)
  }
}
