public import Units

/// A simulated service: how much it can do, and how it behaves when it is asked for more.
public struct ServiceSettings: Equatable, Sendable {
  /// Requests that are worked on at the same time.
  public var workers = 40
  public var serviceTime = ServiceTime.constant(.milliseconds(20))
  /// Requests that may wait for a worker, without bound for `nil`; more are refused with 503.
  public var backlog: Int?
  public var knee: Knee?
  /// Whether a worker that was begun, or a place in the backlog, is kept for a caller that left.
  public var finishesAbandoned = true
  /// Bytes of an answer.
  public var answerSize = 64
  public var faults = Faults()
  public var routes: [Route] = []
  public var seed: UInt64 = 1
  /// How many of them the suite starts, each with this capacity, in `endpointCounts`.
  public var endpoints = 1

  /// Values of `endpoints`.
  public static let endpointCounts = 1...16

  public init() {}

  /// More requests at once than this make each of them slower: caches thrash, locks are fought for.
  public struct Knee: Equatable, Sendable {
    /// Requests inside, waiting ones included, up to which nothing is lost.
    public var requests: Int
    /// How much longer a request takes at twice as many, in parts of its time.
    public var slowdown: Double

    public init(requests: Int, slowdown: Double) {
      self.requests = requests
      self.slowdown = slowdown
    }

    /// What a service time is multiplied by, at most 100.
    public func factor(inside: Int) -> Double {
      guard inside > requests else { return 1 }
      return min(1 + slowdown * Double(inside - requests) / Double(requests), 100)
    }
  }

  /// Shares of requests that go wrong; what is left is answered.
  public struct Faults: Equatable, Sendable {
    /// Answered with 500, after the usual time.
    public var error = 0.0
    /// The connection is reset in place of an answer, after the usual time.
    public var reset = 0.0
    /// Never answered; keeps no worker.
    public var hang = 0.0
    /// Answered with 503 at once, as by a service that is starting.
    public var unavailable = 0.0
    /// The connection is closed at once without a word, as when an idle one times out just when it
    /// is used again.
    public var drop = 0.0
    /// The body comes in pieces over `slowBodyTime`.
    public var slowBody = 0.0
    public var slowBodyTime = Nanoseconds.seconds(2)

    public init() {}
  }

  /// Requests of a path that take their own time.
  public struct Route: Equatable, Sendable {
    /// Paths that begin with it; the first route that fits is taken.
    public var pathPrefix: String
    public var serviceTime: ServiceTime
    public var answerSize: Int?

    public init(pathPrefix: String, serviceTime: ServiceTime) {
      self.pathPrefix = pathPrefix
      self.serviceTime = serviceTime
    }
  }

  /// Requests per second of the routes without a prefix.
  public var capacity: Double {
    let mean = serviceTime.mean.seconds
    return mean > 0 ? Double(workers) / mean : .infinity
  }
}
