internal import COpenSSL

/// Compares a server's keys with those that are pinned, while its chain is being verified.
///
/// A resumed session brings no certificates; its key was compared when it began.
enum PinCheck {
  /// The chain must be valid, and one of its keys be pinned if any are.
  static let chainCallback: SSL_verify_cb = { isValid, store in
    guard isValid == 1, let store else { return isValid }
    // The chain is complete and in order once the server's own certificate comes up.
    guard X509_STORE_CTX_get_error_depth(store) == 0 else { return 1 }
    let pins = pins(for: store)
    guard !pins.isEmpty else { return 1 }
    let chain = X509_STORE_CTX_get0_chain(store)
    for index in 0..<max(0, copenssl_chain_count(chain))
    where isPinned(copenssl_chain_at(chain, index), pins) {
      return 1
    }
    return refuse(store)
  }

  /// The server's own key must be pinned; nothing else counts.
  static let keyCallback: SSL_verify_cb = { _, store in
    guard let store else { return 0 }
    guard isPinned(X509_STORE_CTX_get0_cert(store), pins(for: store)) else { return refuse(store) }
    X509_STORE_CTX_set_error(store, X509_V_OK)
    return 1
  }

  private static func pins(for store: OpaquePointer) -> [KeyPin] {
    let index = SSL_get_ex_data_X509_STORE_CTX_idx()
    guard let ssl = X509_STORE_CTX_get_ex_data(store, index) else { return [] }
    return TLSSession.current(of: OpaquePointer(ssl))?.client?.context.settings.pins ?? []
  }

  private static func isPinned(_ certificate: OpaquePointer?, _ pins: [KeyPin]) -> Bool {
    guard let certificate else { return false }
    var digest = [UInt8](repeating: 0, count: 32)
    guard copenssl_key_digest(certificate, &digest) == 1 else { return false }
    return pins.contains { $0.digest == digest }
  }

  private static func refuse(_ store: OpaquePointer) -> Int32 {
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION)
    return 0
  }
}
