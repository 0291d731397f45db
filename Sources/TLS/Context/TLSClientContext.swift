internal import COpenSSL
internal import Glibc
internal import Synchronization

/// All that is needed to speak TLS to a service; immutable and shared by all workers.
public final class TLSClientContext: @unchecked Sendable {
  /// Bytes that a server may send before the handshake is over: a chain of ten with long names, an
  /// OCSP response and a list of authorities.
  static let handshakeAllowance = 131_072
  /// Bytes of a server's certificates.
  private static let maximumPeerChain = 65_536

  /// The files this was built from, the authorities' not among them.
  public let watch: CertificateWatch
  public let warnings: [TLSLoadWarning]
  public let settings: TLSClientSettings
  let handle: OpaquePointer
  /// Tells contexts apart for good, which an address cannot.
  public let serial: UInt64

  private static let serials = Atomic<UInt64>(0)

  /// - Throws: When a file or a setting cannot be used.
  public init(_ settings: TLSClientSettings) throws(TLSLoadError) {
    var reading = FileReading()
    var credential: Credential?
    if let files = settings.certificate { credential = try Credential(files, &reading) }
    handle = try Self.build(settings, credential)
    serial = Self.serials.wrappingAdd(1, ordering: .relaxed).newValue
    self.settings = settings
    watch = CertificateWatch(reading)
    // Nobody looks up a client's certificate by a host name.
    warnings = reading.warnings.filter { $0.reason != .noNames }
    SSL_CTX_sess_set_new_cb(handle, ClientSessionCache.callback)
  }

  deinit { SSL_CTX_free(handle) }

  /// Whether a server is believed without any proof, for a metric that warns.
  public var isInsecure: Bool {
    if case .insecure = settings.verification { return settings.pins.isEmpty }
    return false
  }

  private static func build(
    _ settings: TLSClientSettings,
    _ credential: Credential?
  ) throws(TLSLoadError) -> OpaquePointer {
    copenssl_clear_errors()
    guard let handle = SSL_CTX_new(TLS_client_method()) else { throw OpenSSLWords.error("") }
    do {
      try ContextBasics.apply(
        settings.ciphers,
        settings.minimumVersion,
        settings.maximumVersion,
        to: handle
      )
      copenssl_set_client_options(handle)
      copenssl_cache_by_callback(handle)
      copenssl_set_max_cert_list(handle, maximumPeerChain)
      if let credential { try ContextBasics.use(credential, in: handle) }
      try offer(settings.applicationProtocols, handle)
      verify(settings, handle)
    } catch {
      SSL_CTX_free(handle)
      throw error
    }
    return handle
  }

  private static func offer(
    _ protocols: [ApplicationProtocol],
    _ handle: OpaquePointer
  ) throws(TLSLoadError) {
    let list = ApplicationProtocol.wireList(protocols)
    // Unlike its neighbours this function returns 0 for success.
    guard list.isEmpty || SSL_CTX_set_alpn_protos(handle, list, UInt32(list.count)) == 0 else {
      throw OpenSSLWords.error("")
    }
  }

  /// Offers one protocol alone on a connection that the settings would offer more.
  func offer(_ only: ApplicationProtocol, on ssl: OpaquePointer) -> Bool {
    let list = ApplicationProtocol.wireList([only])
    defer { copenssl_clear_errors() }
    return SSL_set_alpn_protos(ssl, list, UInt32(list.count)) == 0
  }

  private static func verify(_ settings: TLSClientSettings, _ handle: OpaquePointer) {
    switch settings.verification {
    case .authorities(let store):
      _ = copenssl_share_store(handle, store.handle)
      SSL_CTX_set_verify(handle, SSL_VERIFY_PEER, PinCheck.chainCallback)
    case .pinnedKeysOnly:
      SSL_CTX_set_verify(handle, SSL_VERIFY_PEER, PinCheck.keyCallback)
    case .insecure:
      SSL_CTX_set_verify(
        handle,
        settings.pins.isEmpty ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
        settings.pins.isEmpty ? nil : PinCheck.keyCallback
      )
    }
  }

  /// Tells a session whom it speaks to.
  ///
  /// - Returns: `false` for a host that cannot stand in a certificate.
  func prepare(_ ssl: OpaquePointer, host: String) -> Bool {
    defer { copenssl_clear_errors() }
    if settings.asksForStaple { copenssl_ask_status(ssl) }
    let name = settings.serverName ?? host
    // An address is not a name and is not sent (RFC 6066 section 3).
    if !name.isEmpty, !Self.isAddress(name), copenssl_send_name(ssl, name) != 1 { return false }
    guard case .authorities = settings.verification else { return true }
    let names = settings.names.isEmpty ? [host] : settings.names
    var isFirst = true
    for name in names {
      // To OpenSSL no name would mean that any will do.
      guard !name.isEmpty else { return false }
      if Self.isAddress(name) {
        // OpenSSL compares one address; a second one would replace it, and the first be refused.
        guard copenssl_expect_address(ssl, name) == 1 else { return false }
      } else {
        guard copenssl_expect_name(ssl, name, isFirst ? 1 : 0) == 1 else { return false }
        isFirst = false
      }
    }
    return true
  }

  private static func isAddress(_ text: String) -> Bool {
    var room = in6_addr()
    return inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1
  }
}
