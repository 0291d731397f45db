internal import HTTPCodec
internal import Reactor
internal import TLS
internal import Telemetry
internal import Units

/// What a session towards a service has beyond one of a client, found by the session's index.
///
/// All exchanges of a worker share its sessions. Those that take another request stand in the list
/// of their endpoint; one that is full, was told to go or is broken does not, until a stream's end
/// makes room.
struct ServiceSession: BitwiseCopyable {
  /// Streams of one session, whatever more its peer would allow: further ones get a connection of
  /// their own, so that one lost packet does not hold up everybody.
  static let maximumStreams: Int32 = 256
  /// Silence after which a peer that has answered one PING gets another: what gRPC servers allow
  /// (gRFC A8, 5 minutes); more of them end the connection with "too_many_pings".
  static let laterPings = Nanoseconds.seconds(300)

  let endpoint: Int32
  /// The use of the endpoint's place that this belongs to.
  let epoch: UInt32
  let service: Int32
  let metrics: ServiceMetrics
  let idleTimeout: Nanoseconds
  let connectDeadline: Instant
  let pingAfter: Nanoseconds
  let pingTimeout: Nanoseconds
  /// Neighbours in the endpoint's list.
  var previous: Int32 = -1
  var next: Int32 = -1
  var isListed = false
  /// Without a stream, and counted as such.
  var isIdle = false
  /// When bytes came last.
  var heardAt: Instant
  /// When the PING was sent that is not answered, `.never` without one.
  var pingedAt = Instant.never
  /// What came last was the answer to a PING.
  var wasPong = false
}

/// Why a stream towards a service is gone.
enum ServiceStreamEnd {
  /// With its session, which could not be made, for this reason, or broke.
  case session(ReplyReason)
  /// With its session, which the service would not take once TLS was through: it has looked at
  /// nothing.
  case refused(TLSFault)
  /// By itself.
  case stream(H2Closed)
}
