/// Field names that the edge acts on, or that are common enough to be worth recognising.
///
/// Names that match here need no further check of their characters, which is why the list also
/// holds what browsers send with every request.
public enum KnownField: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  case other
  case host
  case contentLength
  case transferEncoding
  case connection
  case keepAlive
  case proxyConnection
  case te
  case trailer
  case upgrade
  case expect
  case via
  case xForwardedFor
  case xForwardedProto
  case xForwardedHost
  case forwarded
  case xRequestID
  case proxyAuthenticate
  case proxyAuthorization
  case http2Settings
  case contentType
  case retryAfter
  case date
  case server
  case traceparent
  case tracestate
  case idempotencyKey
  case authorization
  case userAgent
  case cookie
  case setCookie
  case accept
  case acceptEncoding
  case acceptLanguage
  case cacheControl
  case contentEncoding
  case etag
  case ifModifiedSince
  case ifNoneMatch
  case lastModified
  case location
  case origin
  case pragma
  case range
  case referer
  case upgradeInsecureRequests
  case vary
  case endpointLoadMetrics
  case endpointLoadMetricsBin

  /// The name in lower case.
  public var name: StaticString {
    switch self {
    case .other: ""
    case .host: "host"
    case .contentLength: "content-length"
    case .transferEncoding: "transfer-encoding"
    case .connection: "connection"
    case .keepAlive: "keep-alive"
    case .proxyConnection: "proxy-connection"
    case .te: "te"
    case .trailer: "trailer"
    case .upgrade: "upgrade"
    case .expect: "expect"
    case .via: "via"
    case .xForwardedFor: "x-forwarded-for"
    case .xForwardedProto: "x-forwarded-proto"
    case .xForwardedHost: "x-forwarded-host"
    case .forwarded: "forwarded"
    case .xRequestID: "x-request-id"
    case .proxyAuthenticate: "proxy-authenticate"
    case .proxyAuthorization: "proxy-authorization"
    case .http2Settings: "http2-settings"
    case .contentType: "content-type"
    case .retryAfter: "retry-after"
    case .date: "date"
    case .server: "server"
    case .traceparent: "traceparent"
    case .tracestate: "tracestate"
    case .idempotencyKey: "idempotency-key"
    case .authorization: "authorization"
    case .userAgent: "user-agent"
    case .cookie: "cookie"
    case .setCookie: "set-cookie"
    case .accept: "accept"
    case .acceptEncoding: "accept-encoding"
    case .acceptLanguage: "accept-language"
    case .cacheControl: "cache-control"
    case .contentEncoding: "content-encoding"
    case .etag: "etag"
    case .ifModifiedSince: "if-modified-since"
    case .ifNoneMatch: "if-none-match"
    case .lastModified: "last-modified"
    case .location: "location"
    case .origin: "origin"
    case .pragma: "pragma"
    case .range: "range"
    case .referer: "referer"
    case .upgradeInsecureRequests: "upgrade-insecure-requests"
    case .vary: "vary"
    case .endpointLoadMetrics: "endpoint-load-metrics"
    case .endpointLoadMetricsBin: "endpoint-load-metrics-bin"
    }
  }
}
