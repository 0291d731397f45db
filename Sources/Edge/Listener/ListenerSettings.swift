internal import Configuration
internal import HTTPCodec
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry
internal import Units

/// One listener's bounds, as the request path reads them.
struct ListenerLimits: BitwiseCopyable {
  var head: HeadLimits
  var headTimeout: Nanoseconds
  var bodyIdle: Nanoseconds
  /// Largest request body, in bytes.
  var bodyBytes: Int64
  /// Bytes per second that a client must move while it is its turn.
  var minimumRate: Int64
  var keepAliveIdle: Nanoseconds
  var upgradeIdle: Nanoseconds
  var maximumAge: Nanoseconds
  var requestsPerConnection: Int
  /// Times that an HTTP/2 client has to acknowledge SETTINGS, may be silent, and has to answer PING.
  var settingsTimeout: Nanoseconds
  var pingInterval: Nanoseconds
  var pingTimeout: Nanoseconds

  var headBytes: Int { head.maximumBytes }
}

/// One listener as configured, for every worker.
struct ListenerSettings: Sendable {
  var name: String
  /// The listener's place in the process, which its shared counts are kept under.
  var place: Int
  var limits: ListenerLimits
  var pathPolicy: PathPolicy
  var maximumConnections: Int
  /// Whether `maximumConnections` is for all listeners together that state none.
  var sharesMaximum: Bool
  /// The place of the count that new connections are held against.
  var countPlace: Int { sharesMaximum ? SharedState.commonPlace : place }
  var perAddress: Int
  var allow: [AddressRange]
  var deny: [AddressRange]
  /// Peers that are believed: what they say of the client, and their preludes.
  var trusted: [AddressRange]
  /// Whether trusted peers say who the client is before its bytes.
  var proxyProtocol: ProxyProtocol
  /// Sessions of HTTP/2 that begin from now on.
  var http2: H2Settings
  /// How TLS is spoken, `nil` for cleartext.
  var tls: TLSServerContext?
  /// The listener's cells in the metrics.
  var metrics: ConnectionMetrics
  /// The listener's name in the access log.
  var nameID: NameID

  /// Whether a peer may connect: not denied, and allowed where a list says who is.
  func admits(_ peer: IPBytes) -> Bool {
    guard !deny.contains(where: { $0.contains(peer) }) else { return false }
    return allow.isEmpty || allow.contains { $0.contains(peer) }
  }

  func trusts(_ peer: IPBytes) -> Bool { trusted.contains { $0.contains(peer) } }
}

/// A CIDR range over the 128-bit form of addresses.
struct AddressRange: Sendable {
  private let base: IPBytes
  private let highMask: UInt64
  private let lowMask: UInt64

  /// `prefix`: Bits that count, in `0...128`; an IPv4 range's prefix plus 96.
  init(base: IPBytes, prefix: Int) {
    highMask = prefix >= 64 ? .max : ~(UInt64.max >> UInt64(prefix))
    lowMask = prefix <= 64 ? 0 : prefix == 128 ? .max : ~(UInt64.max >> UInt64(prefix - 64))
    self.base = IPBytes(high: base.high & highMask, low: base.low & lowMask)
  }

  func contains(_ address: IPBytes) -> Bool {
    address.high & highMask == base.high && address.low & lowMask == base.low
  }
}
