internal import COpenSSL
internal import Glibc
internal import Units

/// All that a listener needs to speak TLS: certificates, rules, keys for tickets.
///
/// Built from files by a pure function of their content, immutable afterwards and shared by all
/// workers. To reload, build another and use it for new sessions; those that are open keep theirs.
/// Early data is never accepted, since it can be replayed (RFC 8446 section 8); there is neither
/// compression nor renegotiation. OpenSSL judges validity by the system's wall clock, and so does
/// what is judged here. A certificate takes 1 ms to load and about 21 KiB.
public final class TLSServerContext: @unchecked Sendable {
  /// The files this was built from.
  public let watch: CertificateWatch
  /// What deserves a look, though the context works.
  public let warnings: [TLSLoadWarning]
  public let settings: TLSServerSettings

  let tickets: TicketKeys
  private let names: ServerNames
  /// One per group of names; the first is the default.
  private let handles: [OpaquePointer]
  private let credentials: [Credential]
  private let protocols: UnsafeMutableBufferPointer<UInt8>

  /// - Parameters:
  ///   - settings: What to load and how to speak.
  ///   - tickets: Keys of session tickets; contexts that share them resume each other's sessions,
  ///     provided they ask the same of clients.
  /// - Throws: When a file cannot be used; the first one that is found.
  public init(_ settings: TLSServerSettings, tickets: TicketKeys) throws(TLSLoadError) {
    guard !settings.certificates.isEmpty else { throw TLSLoadError("", .noCertificates) }
    var reading = FileReading()
    var credentials: [Credential] = []
    for files in settings.certificates { credentials.append(try Credential(files, &reading)) }
    let trust = try ClientTrust(settings.clientCertificates, &reading)
    let names = ServerNames(credentials.map { .init(names: $0.names, kind: $0.key.kind) })
    let used = Set(names.groups.joined())
    for index in credentials.indices where !used.contains(index) {
      reading.warn(credentials[index].files.certificate, .neverChosen)
    }
    let builder = ServerContextBuilder(settings: settings, trust: trust)
    handles = try builder.handles(names.groups.map { $0.map { credentials[$0] } })
    self.settings = settings
    self.tickets = tickets
    self.names = names
    self.credentials = credentials
    watch = CertificateWatch(reading)
    warnings = reading.warnings
    let list = ApplicationProtocol.wireList(settings.applicationProtocols)
    protocols = .allocate(capacity: list.count)
    _ = protocols.initialize(from: list)
    setCallbacks()
  }

  deinit {
    for handle in handles { SSL_CTX_free(handle) }
    protocols.deallocate()
  }

  /// The second since 1970 when the first of the certificates runs out.
  public var expiry: Int64 { credentials.map(\.leaf.validity.until).min() ?? .max }

  /// The default's; names choose another one during the handshake.
  var handle: OpaquePointer { handles[0] }

  /// Bytes that a client may send before the handshake is over.
  var handshakeAllowance: Int {
    // A hello and its repetition, key exchange and signature, records around them.
    var bytes = 2 * HelloScan.maximumHello + 8_192
    if settings.clientCertificates != .off { bytes += settings.maximumPeerChain.rawValue }
    return bytes
  }

  // MARK: - Callbacks

  /// They find this object by its address: sessions keep it alive.
  private func setCallbacks() {
    let own = Unmanaged.passUnretained(self).toOpaque()
    for handle in handles {
      copenssl_set_name_callback(handle, Self.nameAsked, own)
      copenssl_set_status_callback(handle, Self.statusAsked, own)
      if !protocols.isEmpty { SSL_CTX_set_alpn_select_cb(handle, Self.protocolsOffered, own) }
      SSL_CTX_set_tlsext_ticket_key_evp_cb(handle, TicketKeys.callback)
      if settings.clientCertificates != .off {
        SSL_CTX_set_session_ticket_cb(handle, nil, Self.ticketOpened, nil)
      }
    }
  }

  private static func context(_ argument: UnsafeMutableRawPointer?) -> TLSServerContext? {
    argument.map { Unmanaged<TLSServerContext>.fromOpaque($0).takeUnretainedValue() }
  }

  private static let nameAsked: copenssl_name_callback = { ssl, alert, argument in
    guard let ssl, let context = context(argument) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else {
      return SSL_TLSEXT_ERR_NOACK
    }
    guard let group = context.names.group(for: String(cString: name)) else {
      alert?.pointee = SSL_AD_UNRECOGNIZED_NAME
      return context.settings.refusesUnknownNames ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_OK
    }
    guard group == 0 || SSL_set_SSL_CTX(ssl, context.handles[group]) != nil else {
      alert?.pointee = SSL_AD_INTERNAL_ERROR
      return SSL_TLSEXT_ERR_ALERT_FATAL
    }
    return SSL_TLSEXT_ERR_OK
  }

  private static let protocolsOffered: SSL_CTX_alpn_select_cb_func = {
    _,
    chosen,
    chosenCount,
    offered,
    offeredCount,
    argument in
    guard let context = context(argument) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    var found: UnsafeMutablePointer<UInt8>?
    let verdict = SSL_select_next_proto(
      &found,
      chosenCount,
      context.protocols.baseAddress,
      UInt32(context.protocols.count),
      offered,
      offeredCount
    )
    guard verdict == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    chosen?.pointee = UnsafePointer(found)
    return SSL_TLSEXT_ERR_OK
  }

  private static let statusAsked: copenssl_status_callback = { ssl, argument in
    guard let ssl, let context = context(argument), let chosen = SSL_get_certificate(ssl),
      let staple = context.credentials.first(where: { $0.leaf.handle == chosen })?.staple,
      // A client refuses a stale response, and goes on without any.
      staple.until > Int64(time(nil)),
      copenssl_staple(ssl, staple.bytes, staple.bytes.count) == 1
    else { return SSL_TLSEXT_ERR_NOACK }
    return SSL_TLSEXT_ERR_OK
  }

  /// A session outlives the certificate that its client showed: then it is not resumed.
  private static let ticketOpened: SSL_CTX_decrypt_session_ticket_fn = {
    _,
    session,
    _,
    _,
    status,
    _ in
    switch status {
    case SSL_TICKET_SUCCESS, SSL_TICKET_SUCCESS_RENEW:
      if let session, let peer = SSL_SESSION_get0_peer(session),
        copenssl_seconds(X509_get0_notAfter(peer)) < Int64(time(nil))
      {
        return SSL_TICKET_RETURN_IGNORE_RENEW
      }
      return status == SSL_TICKET_SUCCESS
        ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
    default:
      return SSL_TICKET_RETURN_IGNORE_RENEW
    }
  }
}
