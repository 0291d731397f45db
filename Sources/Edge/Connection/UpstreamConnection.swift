internal import Reactor
internal import Telemetry
internal import Units

/// One transport to an endpoint: in use by one exchange, or idle in its endpoint's pool.
struct UpstreamConnection: BitwiseCopyable {
  enum Phase: UInt8, BitwiseCopyable {
    case connecting
    case busy
    /// In the pool.
    case idle
  }

  var phase: Phase
  var transport: Transport
  var timer: Int32
  var exchange: Int32
  var endpoint: Int32
  /// The service's place, for its bound on connections, and its cells in the metrics.
  var service: Int32
  var metrics: ServiceMetrics
  /// Neighbours in the endpoint's list of idle ones, the most recent first.
  var newer: Int32
  var older: Int32
  var input: Input
  /// When it goes if nobody needs it.
  var idleUntil: Instant
  var idleTimeout: Nanoseconds
  /// A prelude named one client: nobody else's request may follow.
  var isOneClients: Bool
  /// Its endpoint owes it a response head.
  var isAwaited = false
}
