internal import Units

/// What the admin server answers, by path.
public final class AdminEndpoints: Sendable {
  public typealias Handler = @Sendable (AdminRequest) -> AdminReply

  private struct Endpoint {
    let summary: String
    /// `GET` includes `HEAD`.
    let method: String
    let handler: Handler
  }

  private let endpoints = Locked<[String: [Endpoint]]>([:])

  public init() {}

  /// Answers `method` of `path` by `handler`, on the admin server's thread; replaces an earlier one.
  ///
  /// - Parameters:
  ///   - method: `GET`, which includes `HEAD`, or `POST`.
  ///   - path: Exact, from the root.
  ///   - summary: One line for the listing.
  ///   - handler: Must not block for long: while it runs nobody else is answered.
  public func register(
    _ method: String = "GET",
    _ path: String,
    summary: String,
    handler: @escaping Handler
  ) {
    endpoints.withLock {
      $0[path, default: []].removeAll { $0.method == method }
      $0[path, default: []].append(Endpoint(summary: summary, method: method, handler: handler))
    }
  }

  /// The answer to a request; 404 and 405 where no endpoint has one.
  func answer(_ request: AdminRequest) -> AdminReply {
    let known = endpoints.withLock { $0[request.path] } ?? []
    let method = request.method == "HEAD" ? "GET" : request.method
    if let endpoint = known.first(where: { $0.method == method }) {
      return endpoint.handler(request)
    }
    if request.path == "/", method == "GET" { return .text(listing) }
    let allowed = request.path == "/" ? ["GET"] : known.map(\.method).sorted()
    guard !allowed.isEmpty else { return .text("not found; GET / lists what is\n", status: 404) }
    var reply = AdminReply.text("method not allowed\n", status: 405)
    let names = allowed.map { $0 == "GET" ? "GET, HEAD" : $0 }.joined(separator: ", ")
    reply.fields.append((name: "allow", value: names))
    return reply
  }

  private var listing: String {
    let all = endpoints.withLock { $0 }
    let lines = all.flatMap { path, endpoints in
      endpoints.map { "\($0.method) \(path)  \($0.summary)" }
    }
    return lines.sorted().joined(separator: "\n") + "\n"
  }
}
