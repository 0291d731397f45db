import HTTPCodec

/// A request written down by hand, for `spillway route` and for tests.
public struct RouteProbe: Sendable {
  public var method: String
  /// The host, without a port.
  public var host: String
  /// The normalised path.
  public var path: String
  public var query: String
  public var headers: [(name: String, value: String)]

  public init(
    method: String = "GET",
    host: String = "",
    path: String = "/",
    query: String = "",
    headers: [(name: String, value: String)] = []
  ) {
    self.method = method
    self.host = host
    self.path = path
    self.query = query
    self.headers = headers
  }

  /// Takes a URL (`http://host:80/path?query`) or a target (`/path?query`) apart and normalises
  /// its path.
  ///
  /// The host of a URL wins over a `Host` header, as it does on the wire.
  /// - Throws: Why the edge would refuse the path.
  public init(
    method: String,
    url: String,
    headers: [(name: String, value: String)] = [],
    policy: PathPolicy = PathPolicy()
  ) throws(PathFault) {
    var rest = Substring(url)
    if let fragment = rest.firstIndex(of: "#") { rest = rest[..<fragment] }
    var authority = Substring(
      headers.first { $0.name.lowercased() == "host" }?.value ?? ""
    )
    for scheme in ["http://", "https://"] where rest.lowercased().hasPrefix(scheme) {
      rest = rest.dropFirst(scheme.count)
      let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
      authority = rest[..<end]
      rest = rest[end...]
    }
    var query = Substring()
    if let mark = rest.firstIndex(of: "?") {
      query = rest[rest.index(after: mark)...]
      rest = rest[..<mark]
    }
    self.init(
      method: method,
      host: Self.host(of: authority),
      path: try PathNormaliser.normalised(String(rest), policy: policy),
      query: String(query),
      headers: headers
    )
  }

  private static func host(of authority: Substring) -> String {
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      return String(authority[...end])
    }
    return String(authority.prefix { $0 != ":" })
  }

  /// Lays the request out in memory as a parser would and hands it to `body`.
  public func withRequest<Result>(_ body: (RouteRequest) throws -> Result) rethrows -> Result {
    var bytes: [UInt8] = []
    func append(_ text: String) -> Int {
      let start = bytes.count
      bytes += text.utf8
      return start
    }
    let methodStart = append(method)
    let hostStart = append(host)
    let queryStart = append(query)
    var fields: [HeadField] = []
    for (name, value) in headers {
      let nameStart = append(name)
      let valueStart = append(value)
      fields.append(
        HeadField(
          nameStart: UInt16(clamping: nameStart),
          nameLength: UInt16(clamping: valueStart - nameStart),
          valueStart: UInt16(clamping: valueStart),
          valueLength: UInt16(clamping: bytes.count - valueStart),
          known: KnownField.named(name)
        )
      )
    }
    let known = Method.allCases.first { $0 != .other && "\($0.name)" == method } ?? .other
    // Empty arrays have no address worth passing on.
    bytes.append(0)
    fields.append(HeadField())
    return try bytes.withUnsafeBufferPointer { bytes in
      try fields.withUnsafeBufferPointer { fields in
        try Array(path.utf8).withUnsafeBufferPointer { path in
          guard let base = bytes.baseAddress, let first = fields.baseAddress else {
            preconditionFailure("both hold at least one element")
          }
          return try body(
            RouteRequest(
              bytes: base,
              hostStart: hostStart,
              hostLength: host.utf8.count,
              path: path,
              queryStart: queryStart,
              queryLength: query.utf8.count,
              method: known,
              methodStart: methodStart,
              methodLength: method.utf8.count,
              fields: first,
              fieldCount: headers.count
            )
          )
        }
      }
    }
  }
}

extension KnownField {
  /// The known field of a name in any case.
  static func named(_ name: String) -> KnownField {
    let name = name.lowercased()
    return allCases.first { $0 != .other && "\($0.name)" == name } ?? .other
  }
}
