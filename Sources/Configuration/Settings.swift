public import Routing
public import Units

/// Everything an operator can set, with defaults, validated: what `spillway check` accepted.
public struct Settings: Sendable, Equatable {
  public var environment = "default"
  /// Where this edge is, `nil` where nobody says; see `Zone`.
  public var zone: String?
  /// The file's own `version`, if it has one.
  public var version: Int?
  /// Worker threads; `nil` is one for each core.
  public var workers: Int?
  /// Where the last good configuration is kept; `nil` keeps none.
  public var stateDirectory: String?
  public var drain = DrainSettings()
  public var admin: BindAddress? = .ip("127.0.0.1", port: 9_901)
  public var accessLog = AccessLogSettings()
  /// Priority classes, the highest first.
  public var classes = ["critical", "important", "normal", "best-effort"]
  public var classHeader = ClassHeaderSetting()
  public var overload = OverloadSetting()
  public var listeners: [ListenerSetting] = []
  public var services: [ServiceSetting] = []
  public var routes: [RouteSetting] = []

  /// Most workers: those that share the limit of a service have a bit each in one word.
  public static let mostWorkers = 64
  /// Bounds of the process's tables; an endpoint counts once for each service that names it.
  public static let maximumListeners = 256
  public static let maximumServices = 4_096
  public static let maximumEndpoints = 32_768

  public init() {}
}

/// Where something listens or is reached.
public enum BindAddress: Sendable, Hashable, CustomStringConvertible {
  /// An IPv4 or IPv6 address without brackets; port 0 lets the kernel choose.
  case ip(String, port: UInt16)
  case unix(String)

  public var description: String {
    switch self {
    case .ip(let ip, let port): ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// How a shutdown goes: readiness fails, then the grace time, then the deadline.
public struct DrainSettings: Sendable, Equatable {
  /// Time in which connections are still accepted, so that the balancer can notice: 5 s.
  public var grace = Nanoseconds.seconds(5)
  /// Time after which requests under way are cut off: 30 s.
  public var deadline = Nanoseconds.seconds(30)

  public init() {}
}

public struct AccessLogSettings: Sendable, Equatable {
  public enum Output: Sendable, Equatable {
    case stdout
    case file(String)
    case syslog(String)
    case off
  }

  /// The share of requests that are logged, by status: `200`, `2xx` or `default`.
  public struct Sample: Sendable, Equatable {
    public var key: String
    /// In `0...1`.
    public var share: Double

    public init(key: String, share: Double) {
      self.key = key
      self.share = share
    }
  }

  public var output = Output.stdout
  public var sample: [Sample] = []

  public init() {}
}

/// Whether something is for the public or for our own network.
public enum Exposure: String, Sendable, CaseIterable {
  case `public`
  case `internal`
}

/// A CIDR range.
public struct CIDR: Sendable, Hashable {
  public var address: String
  /// Bits that count: at most 32 for IPv4, 128 for IPv6.
  public var prefix: Int

  public init(address: String, prefix: Int) {
    self.address = address
    self.prefix = prefix
  }
}

/// Whether a balancer says who the client is before its bytes (the PROXY protocol, v1 and v2).
public enum ProxyProtocol: String, Sendable, CaseIterable {
  /// Nobody's prelude is believed: it counts as bytes of a client, and is refused as such.
  case off
  /// Trusted peers may send one.
  case optional
  /// Trusted peers must send one, and nobody else may connect.
  case required
}

public struct ListenerSetting: Sendable, Equatable {
  public struct Limits: Sendable, Equatable {
    public var headBytes = 16_384
    public var headers = 100
    public var targetBytes = 8_000
    public var bodyBytes: Int64 = 1 << 30
    public var headTimeout = Nanoseconds.seconds(10)
    public var bodyIdle = Nanoseconds.seconds(10)
    /// Bytes per second that a client must move while it is its turn.
    public var minimumRate = 500
    public var keepAliveIdle = Nanoseconds.seconds(60)
    public var upgradeIdle = Nanoseconds.seconds(300)
    public var maximumAge = Nanoseconds.seconds(3_600)
    public var requestsPerConnection = 100_000

    public init() {}
  }

  public var name: String
  public var address: BindAddress
  public var exposure = Exposure.public
  public var limits = Limits()
  /// Most client connections; `nil` is a share in 45 % of the descriptors that the stated maxima of
  /// other listeners leave, for all listeners together that state none.
  public var maximumConnections: Int?
  public var connectionsPerAddress = 1_000
  public var allow: [CIDR] = []
  public var deny: [CIDR] = []
  /// Peers whose word about the client counts; preludes are taken from them alone.
  public var trustedProxies: [CIDR] = []
  public var proxyProtocol = ProxyProtocol.off
  public var http2 = HTTP2Setting()
  public var paths = PathPolicy()
  /// `nil` for cleartext.
  public var tls: TLSSetting?

  public init(name: String, address: BindAddress) {
    self.name = name
    self.address = address
  }
}

public struct ServiceSetting: Sendable, Equatable {
  public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// An IP address or a name to resolve.
    case host(String, port: UInt16)
    case unix(String)

    public var description: String {
      switch self {
      case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      case .unix(let path): "unix:\(path)"
      }
    }
  }

  public enum Balance: String, Sendable, CaseIterable {
    case p2c
    case roundRobin = "round-robin"
    case leastRequests = "least-requests"
    case ringHash = "ring-hash"
  }

  public var name: String
  public var exposure = Exposure.public
  /// Those that the file lists; none with `discovery`.
  public var endpoints: [Endpoint]
  /// Where they come from, `nil` where the file lists them.
  public var discovery: DiscoverySetting?
  public var wireProtocol = ServiceProtocol.http1
  /// How TLS is spoken, exactly where `wireProtocol` is secure.
  public var tls: ServiceTLSSetting?
  /// `nil` for no prelude; with one, a connection carries one request only.
  public var proxyProtocol: ProxyPreludeVersion?
  public var balance = Balance.p2c
  /// With `Balance.ringHash`: what requests are told apart by, and how much busier than the mean the
  /// owner of a key may be.
  public var hashKey = HashKeySetting.address
  public var loadBound = 1.25
  /// In the order of `endpoints`.
  public var endpointTraits: [EndpointTraits] = []
  /// `nil` for no use of what it reports of its load.
  public var loadReports: LoadReportSetting?
  /// `nil` where all zones are alike.
  public var zonePreference: ZonePreferenceSetting?
  /// `nil` for none, as with `outlier` and `health`.
  public var breaker: BreakerSetting?
  public var outlier: OutlierSetting?
  public var health: HealthCheckSetting?
  /// Time in which an endpoint that joins others gets its whole share; zero for at once.
  public var slowStart = Nanoseconds.zero
  /// Most connections of the process; `nil` is `defaultMaximumConnections`, which nobody planned for.
  public var maximumConnections: Int?
  public var idle = Nanoseconds.seconds(60)
  public var connectTimeout = Nanoseconds.seconds(1)
  /// Silence of a connection of HTTP/2 that has requests under way, before it is asked for a sign of
  /// life.
  public var pingAfter = Nanoseconds.seconds(15)
  /// Time for that sign, before the connection counts as broken.
  public var pingTimeout = Nanoseconds.seconds(5)

  /// Hard caps beyond that of its connections; `nil` for none.
  public var limits: CapSetting?
  public var admission = AdmissionSetting()
  public var retryBudget = RetryBudgetSetting()

  public static let defaultMaximumConnections = 1_024
  private static let defaultOpenStreams = 10_000

  /// Streams of it that may be open at once.
  ///
  /// Over HTTP/1.1 each takes a connection: with the last tenth of them others are still served.
  public var openStreams: Int {
    if let stated = admission.openStreams { return stated }
    if wireProtocol == .h2c || wireProtocol == .h2 { return Self.defaultOpenStreams }
    let connections = maximumConnections ?? Self.defaultMaximumConnections
    return max(1, min(connections, AdmissionSetting.largestLimit) * 9 / 10)
  }

  public init(name: String, endpoints: [Endpoint]) {
    self.name = name
    self.endpoints = endpoints
  }
}

public struct RouteSetting: Sendable, Equatable {
  public enum Action: Sendable, Equatable {
    /// A service, and the port that its endpoints must have where one is named.
    case service(String, port: UInt16?)
    case respond(Response)
  }

  public struct Response: Sendable, Equatable {
    public var status: Int
    public var body: String
    public var headers: [Header]

    public init(status: Int, body: String, headers: [Header] = []) {
      self.status = status
      self.body = body
      self.headers = headers
    }
  }

  public struct Header: Sendable, Equatable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  public var match: RouteRule
  /// The place of the route's class in `Settings.classes`.
  public var classIndex: Int
  public var action: Action
  /// What answers while there is nobody of the service to ask; `nil` for the edge's own 503.
  public var fallback: Action?
  public var timeout = Nanoseconds.seconds(5)
  /// Time for one attempt; `nil` for no bound beside that of the whole.
  public var perTryTimeout: Nanoseconds?
  public var retry = RetrySetting()
  /// `nil` for no second attempts of slow requests.
  public var hedge: HedgeSetting?
  /// The route says `auth: none`.
  public var isAuthStated = false

  public var name: String { match.name }

  public init(match: RouteRule, classIndex: Int, action: Action) {
    self.match = match
    self.classIndex = classIndex
    self.action = action
  }
}

/// A configuration that may take effect, and where it came from.
public struct LoadedConfiguration: Sendable {
  public var settings: Settings
  public var text: String
  /// `sha256:` and the digest of the text, in hexadecimal.
  public var checksum: String
  public var version: Int
  /// The file itself was refused; this is the copy that was accepted before.
  public var fromLastGood: Bool
  /// The files that it names.
  public var files: [FileReference] = []

  public init(
    settings: Settings,
    text: String,
    checksum: String,
    version: Int,
    fromLastGood: Bool
  ) {
    self.settings = settings
    self.text = text
    self.checksum = checksum
    self.version = version
    self.fromLastGood = fromLastGood
  }
}
