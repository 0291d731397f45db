internal import COpenSSL

/// One connection's TLS, either side: ciphertext to plaintext and back, without any I/O.
///
/// ```
/// handshake --established--> open --fault--> failed
///     '-------------fault------------------^
/// ```
///
/// Each call works on stretches of the caller's memory that it is lent for its duration
/// (`CiphertextWindow`), so nothing is copied beyond what OpenSSL itself does, and stops when they
/// are used up. Between calls the session holds at most one record of either direction. It holds
/// none, and gives the memory for them back, when everything that came was read.
///
/// Used by one thread at a time. A worker keeps an `Unmanaged` reference in the connection's slab
/// entry; the session lives as long as the connection.
public final class TLSSession {
  enum Phase {
    case handshake
    case open
    case failed(TLSFault)
  }

  /// Room for output below which `write` waits for a new block rather than send tiny records.
  public static let smallestRoom = 512
  /// Plaintext in one record (RFC 8446 section 5.1).
  static let maximumFragment = 16_384
  /// Records without data that are for free, and how much data pays for another one.
  static let freeControlRecords = 64
  static let bytesPerControlRecord = 16_384

  let ssl: OpaquePointer
  let stream: UnsafeMutablePointer<copenssl_stream>
  let server: TLSServerContext?
  let client: ClientSide?

  var phase = Phase.handshake
  var hello = HelloScan()
  /// Bytes that were consumed, and those the scan has seen, since the start.
  var consumed = 0
  var scanned = 0
  /// The transport will bring nothing more.
  var inputEnded = false
  var controlRecords = 0
  var bytesRead = 0
  /// Bytes that a record takes beyond its plaintext.
  var recordOverhead = 0
  /// Plaintext that is encrypted already but was not accepted, as its record found no room.
  var unfinished = 0
  var isEnding = false
  var endIsWritten = false

  private static let method = StreamMethod()

  /// Begins the server's side of a connection; `nil` when memory is out.
  public init?(server context: TLSServerContext) {
    guard let (ssl, stream) = Self.open(context.handle) else { return nil }
    self.ssl = ssl
    self.stream = stream
    server = context
    client = nil
    stream.pointee.allowance = context.handshakeAllowance
    stream.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    SSL_set_accept_state(ssl)
  }

  /// Begins the client's side of a connection; `nil` when memory is out, or when the host is no
  /// name that a certificate can have.
  ///
  /// - Parameters:
  ///   - context: Rules and authorities.
  ///   - host: The name or IP address that the server is known by. A name is sent (SNI), and unless
  ///     the settings list names the server's certificate must be for it.
  ///   - sessions: Where sessions are kept for resumption; used by this thread only.
  ///   - endpoint: Under which number they are kept there; resumed with this context and host only.
  ///   - only: The one protocol that is offered, in place of those of the context.
  public init?(
    client context: TLSClientContext,
    host: String,
    sessions: ClientSessionCache? = nil,
    endpoint: Int = 0,
    only: ApplicationProtocol? = nil
  ) {
    guard let (ssl, stream) = Self.open(context.handle) else { return nil }
    self.ssl = ssl
    self.stream = stream
    server = nil
    let side = ClientSide(context: context, host: host, sessions: sessions, endpoint: endpoint)
    client = side
    stream.pointee.allowance = TLSClientContext.handshakeAllowance
    stream.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    SSL_set_connect_state(ssl)
    guard context.prepare(ssl, host: host) else { return nil }
    if let only, !context.offer(only, on: ssl) { return nil }
    sessions?.offer(side, to: ssl)
  }

  deinit {
    if case .open = phase {
      // Otherwise OpenSSL takes the session for broken and its tickets with it, as the peer was
      // not waited for.
      SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
    }
    SSL_free(ssl)
    stream.deallocate()
  }

  private static func open(
    _ context: OpaquePointer
  ) -> (OpaquePointer, UnsafeMutablePointer<copenssl_stream>)? {
    let stream = UnsafeMutablePointer<copenssl_stream>.allocate(capacity: 1)
    var fresh = copenssl_stream()
    fresh.alert_sent = -1
    fresh.alert_received = -1
    stream.initialize(to: fresh)
    copenssl_clear_errors()
    guard let ssl = copenssl_open(context, method.pointer, stream) else {
      ERR_clear_error()
      stream.deallocate()
      return nil
    }
    return (ssl, stream)
  }

  /// The session that a callback is about.
  static func current(of ssl: OpaquePointer) -> TLSSession? {
    copenssl_stream_of(ssl)?.pointee.owner.map {
      Unmanaged<TLSSession>.fromOpaque($0).takeUnretainedValue()
    }
  }
}

/// What only a client's session has.
struct ClientSide {
  let context: TLSClientContext
  let host: String
  let sessions: ClientSessionCache?
  let endpoint: Int
}

/// OpenSSL's description of our streams, made once and only read afterwards.
private struct StreamMethod: @unchecked Sendable {
  let pointer = copenssl_stream_method()
}
