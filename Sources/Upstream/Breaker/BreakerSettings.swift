public import Units

/// When a breaker opens, for how long, and how it comes back.
public struct BreakerSettings: Hashable, Sendable, BitwiseCopyable {
  /// Failures in a row that open it, 0 for never; see `BreakerScope.service`.
  public var consecutiveFailures: Int32 = 5
  /// Share of failures in the window that opens it, in `0...1`; 0 for never.
  public var failureRatio = 0.5
  /// Outcomes in the window below which no share is judged.
  public var minimumRequests: Int32 = 20
  /// Time in which outcomes are counted together.
  ///
  /// Computed, since an initializer that sets what is stored calls no observer.
  public var window: Nanoseconds {
    get { windowLength }
    set {
      windowLength = newValue
      slicesPerNanosecond = Self.slicesPerNanosecond(of: newValue)
    }
  }
  private var windowLength = Nanoseconds.seconds(10)
  /// Kept, since a division of 64 bits is among the dearest things that a request does.
  @usableFromInline private(set) var slicesPerNanosecond = slicesPerNanosecond(of: .seconds(10))
  /// How long it stays open the first time; doubled each time that it opens again before it was
  /// closed, up to `maximumOpen`.
  public var open = Nanoseconds.seconds(5)
  public var maximumOpen = Nanoseconds.seconds(60)
  /// Time to the response head from which an answer counts as slow; zero judges no slowness.
  public var slowCall = Nanoseconds.zero
  /// Share of slow answers in the window that opens it.
  public var slowRatio = 0.5
  public var failures = FailureKinds.standard
  /// Requests that a half-open breaker lets through, all of which have to succeed; at most 15.
  public var probes: UInt8 = 3
  /// Time from the last good probe until everything is let through again.
  public var ramp = Nanoseconds.seconds(10)

  public init() {}

  /// What of all that a success needs.
  @inlinable public var counting: BreakerCounting {
    BreakerCounting(
      slicesPerNanosecond: slicesPerNanosecond,
      slowCall: slowCall,
      countsFailures: failureRatio > 0
    )
  }

  /// At most a half, so that the last instant of all has a number, too.
  private static func slicesPerNanosecond(of window: Nanoseconds) -> Double {
    1 / max(2, Double(window.rawValue) / Double(BreakerCounting.slices))
  }

  /// Time after which a probe that never came back gives its place to another one: as long as a
  /// route may take.
  static let probeTimeout = Nanoseconds.seconds(30)
  /// Share of the requests that the beginning of a ramp lets through.
  static let firstShare = 0.1
  /// While a whole service fails: how often it is asked, and the ramp when it answers.
  ///
  /// Nobody else carries its load, so each second longer is a second of outage.
  static let outageInterval = Nanoseconds.seconds(1)
  static let outageRamp = Nanoseconds.seconds(2)
  /// An open time is spread by this share to either side, so that edges do not come back together.
  static let jitter = 0.2
}

/// How outcomes are counted by a breaker: few enough words for a request that went well, which is
/// nearly every one.
public struct BreakerCounting: Hashable, Sendable, BitwiseCopyable {
  @usableFromInline let slicesPerNanosecond: Double
  /// Time from which an answer is slow, zero for none.
  @usableFromInline let slowCall: Nanoseconds
  /// Whether the share of failures is of account.
  @usableFromInline let countsFailures: Bool

  @inlinable
  init(slicesPerNanosecond: Double, slowCall: Nanoseconds, countsFailures: Bool) {
    self.slicesPerNanosecond = slicesPerNanosecond
    self.slowCall = slowCall
    self.countsFailures = countsFailures
  }

  /// Parts of a window: outcomes are counted and forgotten by these.
  static let slices = 10

  /// The number of the part that is now.
  func slice(at now: Instant) -> UInt64 {
    UInt64(bitPattern: Int64(Double(max(0, now.rawValue)) * slicesPerNanosecond))
  }
}

/// Whose breaker it is.
public enum BreakerScope: Sendable, BitwiseCopyable {
  /// Others can carry an endpoint's load: it may stay away long.
  case endpoint
  /// Nobody else can: when probes keep failing it is asked each second.
  ///
  /// Failures in a row count for each of its endpoints: of a service of which half is dead, five in a
  /// row are seen all the time, and the other half would be closed, too.
  case service(endpoints: Int)

  /// By how much more failures in a row it takes.
  var streakFactor: Int {
    switch self {
    case .endpoint: 1
    case .service(let endpoints): min(max(endpoints, 1), Self.mostCounted)
    }
  }

  /// Where more endpoints do not make it take longer.
  private static let mostCounted = 20
}

/// Why a breaker opened.
public enum BreakerCause: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  case consecutive
  case ratio
  case slow
  /// A probe failed.
  case probe

  public var label: String {
    switch self {
    case .consecutive: "consecutive-failures"
    case .ratio: "failure-ratio"
    case .slow: "slow-calls"
    case .probe: "probe"
    }
  }
}

/// What a breaker does with requests.
public enum BreakerState: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  case closed
  case open
  case halfOpen
  /// Closed again, for a share of the requests that grows.
  case ramp

  public var label: String {
    switch self {
    case .closed: "closed"
    case .open: "open"
    case .halfOpen: "half-open"
    case .ramp: "ramp"
    }
  }
}

/// What an operator has ordered.
public enum BreakerOrder: UInt8, Sendable, BitwiseCopyable {
  /// It decides by itself.
  case none
  case open
  case closed
}

/// The right to one request, and to tell the breaker what came of it.
public struct BreakerTicket: Equatable, Sendable, BitwiseCopyable {
  /// 0 for none; the epoch in the low bits.
  @usableFromInline var rawValue: UInt8

  @inlinable public static var none: BreakerTicket { BreakerTicket(rawValue: 0) }
  @usableFromInline static var held: UInt8 { 0x80 }
  @usableFromInline static var probe: UInt8 { 0x40 }

  @inlinable
  init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable
  init(epoch: UInt64, isProbe: Bool) {
    rawValue = Self.held | UInt8(epoch & 0x3F) | (isProbe ? Self.probe : 0)
  }

  @inlinable public var isHeld: Bool { rawValue & Self.held != 0 }
  @inlinable public var isProbe: Bool { rawValue & Self.probe != 0 }
  var epoch: UInt64 { UInt64(rawValue & 0x3F) }
}

/// What a breaker says to a request.
public enum BreakerDecision: Equatable, Sendable {
  case admitted(BreakerTicket)
  /// It is worth trying again after this long.
  case refused(Nanoseconds)
}
