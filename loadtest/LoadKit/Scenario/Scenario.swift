public import Units

/// What is sent in a run, when, and what must come of it.
public struct Scenario: Equatable, Sendable {
  /// In kebab-case.
  public var name = ""
  /// What it shows, in a sentence; may be empty.
  public var about = ""
  /// Fixes the schedule and the order of kinds.
  public var seed: UInt64 = 1
  public var capacity = Capacity.measured(.init())
  public var arrivals = Arrivals.open(.poisson)
  /// A calm stretch before the phases whose latency is what `unloaded` means.
  public var unloaded: Phase?
  /// At least one.
  public var phases: [Phase] = []
  /// At least one; their classes are places in `classes`.
  public var kinds: [RequestKind] = []
  /// The most important first.
  public var classes: [String] = []
  public var connections = ConnectionBounds()
  /// What is spoken with the target.
  public var wireProtocol = WireProtocol.http1
  /// Whether any of its requests is a call of gRPC.
  public var isGRPC: Bool { kinds.contains(where: \.isGRPC) }
  /// Width of the report's points in time; 0 lets the run's length decide.
  public var interval = Nanoseconds.zero
  /// The 99th percentile of send lag beyond which a run says nothing.
  public var maximumLag = Nanoseconds.milliseconds(10)
  public var expectations: [Expectation] = []

  public init() {}

  /// Bounds of a scenario: the tables of a run are made for them.
  public static let maximumClasses = 8
  public static let maximumKinds = 256
  public static let maximumPhases = 64
  public static let maximumConnections = 60_000
  /// Points in time of a report.
  public static let maximumIntervals = 1_200

  /// All stretches in order, the calm one first where there is one.
  public var stretches: [Phase] { (unloaded.map { [$0] } ?? []) + phases }

  /// The length of the whole run, in seconds.
  public var duration: Double { stretches.reduce(0) { $0 + $1.duration.seconds } }

  /// The width of a point in time for this length of run.
  public var effectiveInterval: Nanoseconds {
    let least = Int64((duration * 1e9 / Double(Self.maximumIntervals - 1)).rounded(.up))
    let wanted = interval > .zero ? interval : (duration < 10 ? .milliseconds(250) : .seconds(1))
    return Nanoseconds(max(wanted.rawValue, least))
  }

  /// The kinds' weights in a stretch.
  public func weights(in phase: Phase) -> [Double] { phase.mix ?? kinds.map(\.weight) }
}

/// What the target can serve.
public enum Capacity: Equatable, Sendable {
  /// Requests per second, as stated.
  case stated(Double)
  /// Measured before the run.
  case measured(CapacityMeasurement)
}

/// How capacity is measured: callers that send their next request when they have an answer.
public struct CapacityMeasurement: Equatable, Sendable {
  public var concurrency = 100
  public var duration = Nanoseconds.seconds(3)

  public init() {}
}

public enum Arrivals: Equatable, Sendable {
  /// Requests come when they come, whatever became of those before.
  case open(ArrivalProcess)
  /// So many callers, each with one request at a time; loads are ignored.
  case closed(concurrency: Int)
}

/// A stretch of the run at one load.
public struct Phase: Equatable, Sendable {
  public enum Load: Equatable, Sendable {
    /// Of the capacity.
    case multiple(Double)
    /// Requests per second.
    case perSecond(Double)
  }

  public var name: String
  public var load: Load
  public var duration: Nanoseconds
  /// Weights in the order of the kinds, in place of their own.
  public var mix: [Double]?
  /// What is asked of the simulated services when the stretch begins.
  public var orders: [BackendOrder] = []

  public init(name: String, load: Load, duration: Nanoseconds) {
    self.name = name
    self.load = load
    self.duration = duration
  }

  /// Requests per second at this capacity.
  public func rate(capacity: Double) -> Double {
    switch load {
    case .multiple(let factor): factor * capacity
    case .perSecond(let rate): rate
    }
  }
}

/// Something that a simulated service is asked to do.
public struct BackendOrder: Equatable, Sendable {
  /// A place among the services, from 0; `nil` for all of them.
  public var place: Int?
  /// Of its control API, such as `/brownout?to=30%`.
  public var path: String

  public init(place: Int? = nil, path: String) {
    self.place = place
    self.path = path
  }
}

/// Requests that are alike.
public struct RequestKind: Equatable, Sendable {
  public struct Header: Equatable, Sendable {
    public var name: String
    public var value: String
  }

  public var name: String
  /// A place in the scenario's classes.
  public var priority = 0
  public var weight = 1.0
  public var method = "GET"
  public var path = "/"
  public var headers: [Header] = []
  /// Bytes.
  public var bodySize = 0
  /// Later answers are no use to the caller.
  public var deadline = Nanoseconds.seconds(1)
  /// When the caller gives up and closes; at least the deadline.
  public var timeout = Nanoseconds.seconds(1)
  public var retries: RetryBehaviour?
  /// Whether it is a call of gRPC: one message of `bodySize` bytes, judged by `grpc-status`.
  public var isGRPC = false
  /// How a slow caller sends and reads; `nil` for as fast as it goes.
  public var pace: SlowPace?

  public init(name: String) { self.name = name }
}

/// A caller with a bad line.
public struct SlowPace: Equatable, Sendable {
  /// Over which the request is sent, piece by piece: over HTTP/1.1 head and body, over HTTP/2 the
  /// body, as a head is one frame.
  public var sending = Nanoseconds.zero
  /// Waited before each further read of the answer.
  public var pause = Nanoseconds.zero

  public init() {}
}

/// What is spoken with a target.
public enum WireProtocol: String, CaseIterable, Sendable {
  /// HTTP/1.1, one request at a time on a connection.
  case http1
  /// HTTP/2, by prior knowledge in clear, by ALPN in TLS.
  case http2 = "h2"
  /// What ALPN chooses; HTTP/1.1 in clear.
  case automatic = "auto"
}

/// A caller that tries again, as the ones that make retry storms do.
public struct RetryBehaviour: Equatable, Sendable {
  public enum Cause: String, CaseIterable, Sendable {
    /// 429 and 503.
    case shed
    /// Other answers that are no success.
    case failed
    /// No answer: refused, reset, broken.
    case error
    /// Gave up waiting for an attempt; the time for one is `attemptTimeout`.
    case timeout
  }

  /// Beyond the first, in `1...10`.
  public var attempts = 2
  /// Mean of the first pause, 0 to try again at once.
  ///
  /// Each further one is twice as long, and each is drawn evenly from 0 to twice its mean.
  public var backoff = Nanoseconds.milliseconds(50)
  /// For one attempt; `nil` lets each take what is left.
  public var attemptTimeout: Nanoseconds?
  public var causes: Set<Cause> = [.shed, .error, .timeout]

  public init() {}
}

public struct ConnectionBounds: Equatable, Sendable {
  /// Opened before the run and used in turn.
  public var opened = 0
  /// At once; a request that finds all of them busy waits.
  public var most = 4_096
  /// Requests at once on one connection of HTTP/2, in `1...1_000`; the target may allow fewer.
  public var streams = 100

  public init() {}
}
