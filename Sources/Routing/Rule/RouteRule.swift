/// One rule of the route table, as an operator states it.
///
/// Every condition that is present must hold. An empty list is no condition.
public struct RouteRule: Sendable, Equatable {
  /// The name that explanations and faults use.
  public var name: String
  public var host: HostPattern
  public var path: PathPattern
  /// Methods as sent (`GET`), or none for all of them.
  ///
  /// A rule for `GET` does not answer `HEAD`.
  public var methods: [String]
  public var headers: [FieldCondition]
  public var query: [FieldCondition]
  /// Breaks ties that nothing else breaks; the higher number wins.
  public var priority: Int

  public init(
    name: String,
    host: HostPattern = .any,
    path: PathPattern = .any,
    methods: [String] = [],
    headers: [FieldCondition] = [],
    query: [FieldCondition] = [],
    priority: Int = 0
  ) {
    self.name = name
    self.host = host
    self.path = path
    self.methods = methods
    self.headers = headers
    self.query = query
    self.priority = priority
  }
}

/// A condition on a header field or on a query parameter.
///
/// A header that is sent in several lines counts as one line joined with `", "` (RFC 9110 section
/// 5.3), so a caller cannot satisfy two exclusive rules by sending both values. Of a repeated query
/// parameter the first counts. Header names ignore case; everything else does not. Names and values
/// of the query are compared after decoding `%XX` and `+`.
public struct FieldCondition: Hashable, Sendable {
  public var name: String
  /// The value it must have; nil when being present is enough.
  public var value: String?

  public init(name: String, value: String? = nil) {
    self.name = name
    self.value = value
  }
}

/// Which hosts a rule serves, compared without case, port or a trailing dot.
public enum HostPattern: Hashable, Sendable {
  case any
  case exact(String)
  /// A suffix without its `*.`: `example.com` serves `a.example.com` and `a.b.example.com`, never
  /// `example.com` itself.
  ///
  /// Source: Kubernetes Gateway API, `HTTPRouteSpec.hostnames`.
  case wildcard(String)

  /// Reads `api.example.com`, `*.example.com` or `*`; the table checks the characters.
  public init(_ text: String) {
    if text == "*" {
      self = .any
    } else if text.hasPrefix("*.") {
      self = .wildcard(String(text.dropFirst(2)))
    } else {
      self = .exact(text)
    }
  }
}

/// Which normalised paths a rule serves.
public enum PathPattern: Hashable, Sendable {
  /// Every path, and the `*` of `OPTIONS *`. It yields to every other pattern.
  case any
  /// The whole path; `/v1` and `/v1/` differ.
  case exact(String)
  /// Whole segments: `/v1` serves `/v1`, `/v1/` and `/v1/x`, not `/v1x`. A slash at the end of the
  /// pattern means nothing.
  case prefix(String)
  /// The whole path, in the language of ``PathRegex``.
  case regex(String)
}
