internal import Telemetry
internal import Units
internal import Upstream

/// A route as the request path sees it: numbers and places, nothing that counts references.
struct CompiledRoute {
  /// The service's place in the snapshot, or -1 for a route that answers by itself.
  var service: Int32
  /// The prepared answer's place, or -1.
  var answer: Int32
  /// The route's cells in the metrics.
  var metrics: RouteMetrics
  /// The route's name in the access log.
  var name: NameID
  /// The class's name in the access log, and its place, the highest first; -1 for none.
  var className: NameID
  var classPlace: Int32
  var timeout: Nanoseconds
  /// Bound of one attempt; the timeout again where none is set.
  var perTryTimeout: Nanoseconds
  /// Its place among the routes of its service's admission.
  var admissionRoute: Int32 = 0
  /// The place of what it has repeated, or -1.
  var retry: Int32 = -1
  /// The place of what it says of hedges, or -1.
  var hedge: Int32 = -1
  /// The place of the route that stands in for it while nobody of its service can be asked, or -1.
  var fallback: Int32 = -1
  /// Of such a route: what counts the requests that came to it, by `ReplyReason.fallbackPlace`.
  var fallbacks = CounterRow()
}

/// A service as the request path sees it.
struct CompiledService {
  /// Where its endpoints begin in the snapshot's list, and how many there are.
  var firstEndpoint: Int32
  var endpointCount: Int32
  /// The service's cells in the metrics, and its place in each worker's table of services.
  var metrics: ServiceMetrics
  var place: Int32
  var name: NameID
  var balance: Balance
  var connectTimeout: Nanoseconds
  var idleTimeout: Nanoseconds
  /// Most connections of the whole process to this service.
  var maximumConnections: Int32
  /// Which HTTP its endpoints speak.
  var http: EndpointHTTP
  var pingAfter: Nanoseconds
  var pingTimeout: Nanoseconds
  var prelude = ClientPrelude.none
  /// The service's place among admissions, or -1 where nothing is decided.
  var admission: Int32 = -1
  /// Admission decides and counts, and enforces nothing.
  var isShadow = false
  /// `nil` where no route has anything repeated or hedged; the snapshot keeps it alive.
  var retries: Unmanaged<ServiceRetries>?
  var retryAllowance = RetryAllowance(ratio: 0, minimumPerSecond: 0)
  /// The place of its `ServicePolicy` in the snapshot, or -1 where it has none.
  var policy: Int32 = -1
  /// Hard caps beyond that of its connections, `nil` for none: then nobody waits.
  var caps: CapSettings?
}

/// Which version of HTTP the endpoints of a service speak.
enum EndpointHTTP: UInt8 {
  case http1
  case http2
  /// Each endpoint the one that it chooses by ALPN.
  case either
}

/// Whether a connection begins with a PROXY prelude that names its client.
enum ClientPrelude: UInt8 {
  case none
  case version1
  case version2
}
