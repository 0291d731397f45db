internal import COpenSSL

/// Sessions with servers that can be resumed, the newest per endpoint, with a bound.
///
/// A worker has one of its own; nothing is shared. A session is offered again until a newer one
/// takes its place or the server no longer knows it.
public final class ClientSessionCache {
  private struct Entry {
    let handle: OpaquePointer
    /// What was verified when the session began; under anything else it proves nothing.
    let context: UInt64
    let host: String
    let order: UInt64
  }

  /// Most endpoints with a session; 1 to 8 KiB each, with the server's certificate.
  public let capacity: Int
  private var entries: [Int: Entry] = [:]
  private var order: UInt64 = 0

  /// - Parameter capacity: The bound, at least 1.
  public init(capacity: Int = 1_024) {
    precondition(capacity >= 1, "unvalidated capacity")
    self.capacity = capacity
  }

  deinit { for entry in entries.values { SSL_SESSION_free(entry.handle) } }

  /// Endpoints with a session now.
  public var count: Int { entries.count }

  /// Forgets an endpoint, for one that is gone or is spoken to under other rules.
  public func forget(_ endpoint: Int) {
    if let old = entries.removeValue(forKey: endpoint) { SSL_SESSION_free(old.handle) }
  }

  /// Lets a handshake offer the endpoint's session.
  func offer(_ side: ClientSide, to ssl: OpaquePointer) {
    let endpoint = side.endpoint
    guard let entry = entries[endpoint], entry.context == side.context.serial,
      entry.host == side.host
    else { return }
    guard SSL_SESSION_is_resumable(entry.handle) == 1, SSL_set_session(ssl, entry.handle) == 1
    else {
      copenssl_clear_errors()
      return forget(endpoint)
    }
  }

  /// Keeps the session of a handshake that resumed one in TLS 1.2, perhaps with a new ticket: the
  /// callback below is not told of those.
  func keepResumed(_ side: ClientSide, _ ssl: OpaquePointer) {
    if let session = SSL_get1_session(ssl) { keep(side, session) }
  }

  /// Takes over one reference to a session.
  private func keep(_ side: ClientSide, _ handle: OpaquePointer) {
    order += 1
    let entry = Entry(
      handle: handle,
      context: side.context.serial,
      host: side.host,
      order: order
    )
    if let old = entries.updateValue(entry, forKey: side.endpoint) { SSL_SESSION_free(old.handle) }
    guard entries.count > capacity else { return }
    // Rare, and the table is small: no order is kept for it.
    if let oldest = entries.min(by: { $0.value.order < $1.value.order }) { forget(oldest.key) }
  }

  /// A server gave a session: at the end of a TLS 1.2 handshake, with each ticket of TLS 1.3.
  static let callback: @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32 = { ssl, session in
    guard let ssl, let session, let side = TLSSession.current(of: ssl)?.client,
      let sessions = side.sessions
    else { return 0 }
    sessions.keep(side, session)
    return 1
  }
}
