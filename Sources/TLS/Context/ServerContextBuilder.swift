internal import COpenSSL
internal import Units

/// Makes OpenSSL's contexts for a server, one per group of certificates.
struct ServerContextBuilder {
  /// Authorities between a client's certificate and the bundle.
  private static let chainDepth: Int32 = 8

  let settings: TLSServerSettings
  let trust: ClientTrust

  /// - Parameter groups: Certificates of different kinds for the same names.
  /// - Returns: A context for each, in the same order, one reference of each.
  /// - Throws: When OpenSSL refuses a certificate or a setting.
  func handles(_ groups: [[Credential]]) throws(TLSLoadError) -> [OpaquePointer] {
    var handles: [OpaquePointer] = []
    do {
      for group in groups { handles.append(try handle(group)) }
    } catch {
      for handle in handles { SSL_CTX_free(handle) }
      throw error
    }
    return handles
  }

  private func handle(_ group: [Credential]) throws(TLSLoadError) -> OpaquePointer {
    copenssl_clear_errors()
    guard let handle = SSL_CTX_new(TLS_server_method()) else { throw OpenSSLWords.error("") }
    do {
      try ContextBasics.apply(
        settings.ciphers,
        settings.minimumVersion,
        settings.maximumVersion,
        to: handle
      )
      copenssl_set_server_options(handle)
      setSessions(handle)
      setClientTrust(handle)
      for credential in group { try ContextBasics.use(credential, in: handle) }
    } catch {
      SSL_CTX_free(handle)
      throw error
    }
    return handle
  }

  private func setSessions(_ handle: OpaquePointer) {
    copenssl_cache_nothing(handle)
    SSL_CTX_set_timeout(handle, Int(settings.sessionLifetime.seconds))
    SSL_CTX_set_num_tickets(handle, min(max(0, settings.tickets), 8))
    SSL_CTX_set_max_early_data(handle, 0)
    SSL_CTX_set_session_id_context(handle, trust.digest, UInt32(trust.digest.count))
  }

  private func setClientTrust(_ handle: OpaquePointer) {
    copenssl_set_max_cert_list(handle, settings.maximumPeerChain.rawValue)
    guard let store = trust.store else { return }
    _ = copenssl_share_store(handle, store.handle)
    for authority in store.authorities { SSL_CTX_add_client_CA(handle, authority.handle) }
    SSL_CTX_set_verify_depth(handle, Self.chainDepth)
    SSL_CTX_set_verify(
      handle,
      SSL_VERIFY_PEER | (trust.isRequired ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
      nil
    )
  }
}
