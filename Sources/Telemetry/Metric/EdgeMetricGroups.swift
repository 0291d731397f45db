/// What a worker counts for one route.
public struct RouteMetrics: Sendable, BitwiseCopyable {
  public var requests: RequestCells
  public var duration: Histogram

  @inlinable
  public init(requests: RequestCells = RequestCells(), duration: Histogram = Histogram()) {
    self.requests = requests
    self.duration = duration
  }
}

/// What a worker counts for the connections of one listener or service.
public struct ConnectionMetrics: Sendable, BitwiseCopyable {
  public var open: Gauge
  public var opened: Counter
  public var closed: Counter

  @inlinable
  public init(open: Gauge = Gauge(), opened: Counter = Counter(), closed: Counter = Counter()) {
    self.open = open
    self.opened = opened
    self.closed = closed
  }
}

/// What a worker counts for one service.
public struct ServiceMetrics: Sendable, BitwiseCopyable {
  public var duration: Histogram
  /// How long admitted requests waited in the queue, of those that did.
  public var queueWait: Histogram
  public var connectFailures: Counter
  public var connections: ConnectionMetrics
  public var poolIdle: Gauge
  public var poolBusy: Gauge
  /// Those on which HTTP/1.1 and HTTP/2 are spoken.
  public var http1: ConnectionMetrics
  public var http2: ConnectionMetrics

  @inlinable
  public init(
    duration: Histogram = Histogram(),
    queueWait: Histogram = Histogram(),
    connectFailures: Counter = Counter(),
    connections: ConnectionMetrics = ConnectionMetrics(),
    poolIdle: Gauge = Gauge(),
    poolBusy: Gauge = Gauge(),
    http1: ConnectionMetrics = ConnectionMetrics(),
    http2: ConnectionMetrics = ConnectionMetrics()
  ) {
    self.duration = duration
    self.queueWait = queueWait
    self.connectFailures = connectFailures
    self.connections = connections
    self.poolIdle = poolIdle
    self.poolBusy = poolBusy
    self.http1 = http1
    self.http2 = http2
  }
}

extension MetricShard {
  /// Counts a connection that was opened.
  @inlinable
  public func opened(_ connections: ConnectionMetrics) {
    add(connections.opened)
    add(connections.open, 1)
  }

  /// Counts a connection that was closed.
  @inlinable
  public func closed(_ connections: ConnectionMetrics) {
    add(connections.closed)
    add(connections.open, -1)
  }
}

/// Which timer ended a wait.
public enum TimeoutKind: UInt8, CaseIterable, Sendable {
  case head
  case bodyIdle
  case slowBody
  case slowReader
  /// A reader that held much and took next to nothing while buffers were short.
  case heldBodies
  case keepAliveIdle
  case connect
  case request
  case perTry
  case upstreamIdle
  case tunnelIdle
  /// A response without end on which nothing passed.
  case streamIdle
  /// A request that waited for room of its service.
  case pending

  /// The value of the label `kind`.
  public var label: String {
    switch self {
    case .head: "head"
    case .bodyIdle: "body-idle"
    case .slowBody: "slow-body"
    case .slowReader: "slow-reader"
    case .heldBodies: "held-bodies"
    case .keepAliveIdle: "keep-alive-idle"
    case .connect: "connect"
    case .request: "request"
    case .perTry: "per-try"
    case .upstreamIdle: "upstream-idle"
    case .tunnelIdle: "tunnel-idle"
    case .streamIdle: "stream-idle"
    case .pending: "pending"
    }
  }
}

/// What became of a configuration that was read.
public enum ReloadOutcome: UInt8, CaseIterable, Sendable {
  /// It took effect.
  case applied
  /// It had faults; the one before goes on.
  case refused
  /// It says the same as the one in effect.
  case unchanged

  /// The value of the label `outcome`.
  public var label: String {
    switch self {
    case .applied: "applied"
    case .refused: "refused"
    case .unchanged: "unchanged"
    }
  }
}
