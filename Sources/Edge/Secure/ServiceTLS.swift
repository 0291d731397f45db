internal import Configuration
internal import TLS
internal import Telemetry

/// How one service is spoken to over TLS, for a worker that opens a connection to it.
final class ServiceTLS: Sendable {
  let context: TLSClientContext
  let metrics: SecureServiceMetrics
  private let serverName: String?
  private let firstName: String?

  init(
    _ service: ServiceSetting,
    _ tls: ServiceTLSSetting,
    context: TLSClientContext,
    edge: EdgeMetrics
  ) {
    self.context = context
    serverName = tls.serverName
    firstName = tls.names.first
    metrics = edge.secureService(
      service.name,
      versions: ("\(TLSVersion.tls12.name)", "\(TLSVersion.tls13.name)"),
      kinds: HandshakeKind.allCases.map { "\($0)" },
      reasons: UpstreamHandshakeFailure.labels
    )
  }

  /// The name that an endpoint is asked for and, unless names are listed, verified by.
  func host(of endpoint: ServiceSetting.Endpoint) -> String {
    if let serverName { return serverName }
    switch endpoint {
    case .host(let host, _): return host
    case .unix: return firstName ?? ""
    }
  }
}

/// How one endpoint is spoken to over TLS; a connection keeps it until its end.
final class SecureTarget: Sendable {
  let tls: ServiceTLS
  /// The name that it is asked for and, unless names are listed, verified by.
  let host: String

  init(_ tls: ServiceTLS, host: String) {
    self.tls = tls
    self.host = host
  }

  /// Tells connections apart that were verified by other rules: none of them serves another.
  var variant: String { "tls \(tls.context.serial) \(host)" }
}

extension ServiceProtocol {
  /// What is offered by ALPN, the best first.
  var offers: [ApplicationProtocol] {
    switch self {
    case .http1, .h2c: []
    case .https: [.http1]
    case .h2: [.http2]
    case .auto: [.http2, .http1]
    }
  }
}

extension TLSClientContext {
  /// What is spoken after a handshake that agreed on `chosen`; `nil` when that was not offered.
  ///
  /// A server without ALPN speaks HTTP/1.1 (RFC 7301 section 3.1), never HTTP/2 (RFC 9113
  /// section 3.2).
  func spoken(_ chosen: ApplicationProtocol?) -> ApplicationProtocol? {
    let spoken = chosen ?? .http1
    return settings.applicationProtocols.contains(spoken) ? spoken : nil
  }

  /// Whether nothing but HTTP/2 is offered.
  var wantsHTTP2: Bool { settings.applicationProtocols == [.http2] }
}
