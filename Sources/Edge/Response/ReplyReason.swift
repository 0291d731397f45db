/// Why the edge answers by itself.
///
/// The raw value indexes prepared replies; `token` is the stable name that problem bodies, metrics
/// and logs carry.
enum ReplyReason: UInt8, CaseIterable {
  case malformedRequest
  case headTooLarge
  case targetTooLong
  case codingNotImplemented
  case versionNotSupported
  case headTimeout
  case bodyTimeout
  case bodyTooLarge
  case malformedBody
  case pathRefused
  case noRoute
  case methodNotAllowed
  case methodNotImplemented
  case noEndpoint
  case connectFailed
  case connectTimeout
  case connectionLimit
  case upstreamReset
  case upstreamMalformed
  case upstreamTimeout
  case perTryTimeout
  case streamIdle
  case upstreamRefused
  case upgradeRefused
  case buffersExhausted
  case tlsRequired
  case upstreamCertificate
  case upstreamTLSFailed
  case upstreamTLSRefused
  case upstreamNoHTTP2
  case shedQueueFull
  case shedClass
  case shedDeadline
  case shedEvicted
  case shedQueueTimeout
  case shedEdgeOverload
  case shedOpenStreams
  case breakerOpen
  case noHealthyEndpoint
  case pendingFull
  case pendingTimeout

  struct Wording {
    var status: UInt16
    var token: StaticString
    var title: StaticString
    var detail: StaticString
    /// The error type of RFC 9209, or nothing where the client is at fault.
    var proxyError: StaticString?
  }

  /// What a client of gRPC is told instead of an HTTP status.
  ///
  /// Source: gRPC's status codes, and its mapping of HTTP statuses for those that have one there.
  var grpcStatus: Int {
    switch self {
    case .noRoute, .methodNotAllowed, .methodNotImplemented: 12
    case .upstreamTimeout, .perTryTimeout, .streamIdle, .bodyTimeout, .headTimeout: 4
    case .bodyTooLarge, .headTooLarge, .targetTooLong: 8
    case .noEndpoint, .connectFailed, .connectTimeout, .connectionLimit, .upstreamReset,
      .upstreamMalformed, .upstreamRefused, .upgradeRefused, .buffersExhausted,
      .upstreamCertificate, .upstreamTLSFailed, .upstreamTLSRefused, .upstreamNoHTTP2,
      .shedQueueFull, .shedClass, .shedDeadline, .shedEvicted, .shedQueueTimeout,
      .shedEdgeOverload, .shedOpenStreams, .breakerOpen, .noHealthyEndpoint,
      .pendingFull, .pendingTimeout:
      14
    case .malformedRequest, .codingNotImplemented, .versionNotSupported, .malformedBody,
      .pathRefused, .tlsRequired:
      13
    }
  }

  /// What a client reads.
  var wording: Wording {
    switch self {
    case .malformedRequest:
      Wording(
        status: 400,
        token: "malformed-request",
        title: "Malformed request",
        detail: "The request is not valid HTTP/1.1.",
        proxyError: nil
      )
    case .headTooLarge:
      Wording(
        status: 431,
        token: "head-too-large",
        title: "Request head too large",
        detail: "The request has more or larger fields than this listener accepts.",
        proxyError: nil
      )
    case .targetTooLong:
      Wording(
        status: 414,
        token: "target-too-long",
        title: "Request target too long",
        detail: "The request target is longer than this listener accepts.",
        proxyError: nil
      )
    case .codingNotImplemented:
      Wording(
        status: 501,
        token: "coding-not-implemented",
        title: "Transfer coding not implemented",
        detail: "Only the chunked transfer coding is understood.",
        proxyError: nil
      )
    case .versionNotSupported:
      Wording(
        status: 505,
        token: "version-not-supported",
        title: "HTTP version not supported",
        detail: "This listener speaks HTTP/1.1.",
        proxyError: nil
      )
    case .headTimeout:
      Wording(
        status: 408,
        token: "head-timeout",
        title: "Request head timed out",
        detail: "The request head did not arrive in time.",
        proxyError: nil
      )
    case .bodyTimeout:
      Wording(
        status: 408,
        token: "body-timeout",
        title: "Request body timed out",
        detail: "The request body arrived too slowly.",
        proxyError: nil
      )
    case .bodyTooLarge:
      Wording(
        status: 413,
        token: "body-too-large",
        title: "Request body too large",
        detail: "The request body is larger than this listener accepts.",
        proxyError: nil
      )
    case .malformedBody:
      Wording(
        status: 400,
        token: "malformed-body",
        title: "Malformed request body",
        detail: "The chunked request body is not valid.",
        proxyError: nil
      )
    case .pathRefused:
      Wording(
        status: 400,
        token: "path-refused",
        title: "Path refused",
        detail: "The path cannot be normalised without changing what it may mean.",
        proxyError: nil
      )
    case .noRoute:
      Wording(
        status: 404,
        token: "no-route",
        title: "No such route",
        detail: "No route matches the request.",
        proxyError: nil
      )
    case .methodNotAllowed:
      Wording(
        status: 405,
        token: "method-not-allowed",
        title: "Method not allowed",
        detail: "The resource has no route for this method.",
        proxyError: nil
      )
    case .methodNotImplemented:
      Wording(
        status: 501,
        token: "method-not-implemented",
        title: "Method not implemented",
        detail: "CONNECT and TRACE are not served here.",
        proxyError: nil
      )
    case .tlsRequired:
      Wording(
        status: 400,
        token: "tls-required",
        title: "TLS required",
        detail: "This port speaks HTTPS; the request came without TLS.",
        proxyError: nil
      )
    case .noEndpoint, .connectFailed, .connectTimeout, .connectionLimit, .upstreamReset,
      .upstreamMalformed, .upstreamTimeout, .perTryTimeout, .streamIdle, .upstreamRefused,
      .upgradeRefused,
      .buffersExhausted, .upstreamCertificate, .upstreamTLSFailed, .upstreamTLSRefused,
      .upstreamNoHTTP2, .breakerOpen, .noHealthyEndpoint, .pendingFull, .pendingTimeout:
      upstreamWording
    case .shedQueueFull, .shedClass, .shedDeadline, .shedEvicted, .shedQueueTimeout,
      .shedEdgeOverload, .shedOpenStreams:
      shedWording
    }
  }

  private var upstreamWording: Wording {
    switch self {
    case .noEndpoint:
      Wording(
        status: 503,
        token: "no-endpoint",
        title: "No endpoint",
        detail: "The service has no endpoint to send the request to.",
        proxyError: "destination_unavailable"
      )
    case .connectFailed:
      Wording(
        status: 502,
        token: "connect-failed",
        title: "Connection to the service failed",
        detail: "No endpoint of the service accepted a connection.",
        proxyError: "connection_refused"
      )
    case .connectTimeout:
      Wording(
        status: 504,
        token: "connect-timeout",
        title: "Connection to the service timed out",
        detail: "No endpoint of the service accepted a connection in time.",
        proxyError: "connection_timeout"
      )
    case .connectionLimit:
      Wording(
        status: 503,
        token: "connection-limit",
        title: "Too many connections to the service",
        detail: "The service's bound on connections is reached.",
        proxyError: "connection_limit_reached"
      )
    case .upstreamReset:
      Wording(
        status: 502,
        token: "upstream-reset",
        title: "The service broke the connection",
        detail: "The service closed the connection before it had answered.",
        proxyError: "connection_terminated"
      )
    case .upstreamMalformed:
      Wording(
        status: 502,
        token: "upstream-malformed",
        title: "The service's answer is malformed",
        detail: "The service's answer is not valid HTTP.",
        proxyError: "http_protocol_error"
      )
    case .upstreamCertificate:
      Wording(
        status: 502,
        token: "upstream-certificate",
        title: "The service's certificate is refused",
        detail: "No endpoint of the service showed a TLS certificate that proves who it is.",
        proxyError: "tls_certificate_error"
      )
    case .upstreamTLSFailed:
      Wording(
        status: 502,
        token: "upstream-tls",
        title: "TLS with the service failed",
        detail: "The TLS handshake with the service did not succeed.",
        proxyError: "tls_protocol_error"
      )
    case .upstreamTLSRefused:
      Wording(
        status: 502,
        token: "upstream-tls-refused",
        title: "The service refused TLS",
        detail: "The service ended the TLS handshake with an alert.",
        proxyError: "tls_alert_received"
      )
    case .upstreamNoHTTP2:
      Wording(
        status: 502,
        token: "upstream-no-http2",
        title: "The service does not speak HTTP/2",
        detail: "The service did not choose HTTP/2 in the TLS handshake (ALPN).",
        proxyError: "tls_protocol_error"
      )
    case .upstreamTimeout:
      Wording(
        status: 504,
        token: "upstream-timeout",
        title: "The service did not answer in time",
        detail: "The time for this request ran out.",
        proxyError: "http_response_timeout"
      )
    case .streamIdle:
      Wording(
        status: 504,
        token: "stream-idle",
        title: "The stream fell silent",
        detail: "Nothing passed on it, either way, for as long as the listener allows.",
        proxyError: "http_response_timeout"
      )
    case .perTryTimeout:
      Wording(
        status: 504,
        token: "upstream-timeout-per-try",
        title: "The service did not answer an attempt in time",
        detail: "The time for one attempt ran out, and there is no other.",
        proxyError: "http_response_timeout"
      )
    case .upstreamRefused:
      Wording(
        status: 503,
        token: "upstream-refused",
        title: "The service took no more requests",
        detail: "The service refused the request without processing it.",
        proxyError: "destination_unavailable"
      )
    case .breakerOpen:
      Wording(
        status: 503,
        token: "breaker-open",
        title: "The service is given time to recover",
        detail: "The service failed too often, so it is not asked for a while.",
        proxyError: "destination_unavailable"
      )
    case .noHealthyEndpoint:
      Wording(
        status: 503,
        token: "no-healthy-endpoint",
        title: "No endpoint works",
        detail: "Health checks find no endpoint of the service that works.",
        proxyError: "destination_unavailable"
      )
    case .pendingFull:
      Wording(
        status: 503,
        token: "upstream-pending-full",
        title: "Too many requests wait for the service",
        detail: "The service has as much to do as it may, and as many requests wait as may.",
        proxyError: "connection_limit_reached"
      )
    case .pendingTimeout:
      Wording(
        status: 503,
        token: "upstream-pending-timeout",
        title: "The service had no room in time",
        detail: "The service had as much to do as it may for as long as a connect may take.",
        proxyError: "connection_limit_reached"
      )
    case .upgradeRefused:
      Wording(
        status: 502,
        token: "upgrade-refused",
        title: "The service takes no WebSockets",
        detail: "The service speaks HTTP/2 without extended CONNECT, and no HTTP/1.1.",
        proxyError: "http_upgrade_failed"
      )
    default:
      Wording(
        status: 503,
        token: "buffers-exhausted",
        title: "The edge is out of buffers",
        detail: "The edge has no memory left for this request.",
        proxyError: "proxy_internal_error"
      )
    }
  }
}
