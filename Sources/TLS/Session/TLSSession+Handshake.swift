internal import COpenSSL

extension TLSSession {
  /// Goes on with the handshake; `read` and `write` do so themselves.
  ///
  /// This is the dear part, on the calling thread and at the wish of anybody: 0.3 ms for a server
  /// with an ECDSA key and 1.0 ms with RSA of 2,048 bits, 0.25 ms to resume in TLS 1.3 and 0.05 ms
  /// in TLS 1.2, nearly all of it in one call (docs/decisions/0003). How many handshakes run at
  /// once and how long one may take is the caller's to bound; how many bytes one brings is bounded
  /// here.
  ///
  /// - Returns: `established`, `needsInput`, `needsOutput` or a fault.
  public func handshake(_ window: inout CiphertextWindow) -> TLSStep {
    switch phase {
    case .failed(let fault): return .fault(fault)
    case .open: return .established
    case .handshake: break
    }
    if let fault = scan(window) { return fail(fault) }
    lend(&window)
    copenssl_clear_errors()
    let result = SSL_do_handshake(ssl)
    let step = result == 1 ? establish() : stopped(result)
    takeBack(&window)
    return step
  }

  /// The first bytes of a client, before OpenSSL has them.
  private func scan(_ window: CiphertextWindow) -> TLSFault? {
    guard server != nil, !hello.isDone, let input = window.input else { return nil }
    var index = window.consumed + scanned - consumed
    while index < window.inputCount, !hello.isDone {
      if let fault = hello.feed(input[index]) { return fault }
      index += 1
      scanned += 1
    }
    return nil
  }

  private func establish() -> TLSStep {
    phase = .open
    stream.pointee.allowance = .max
    recordOverhead = Self.overhead(of: ssl)
    // The client has the copy of the OCSP response now; ours would stay as long as the connection.
    if server != nil { copenssl_drop_staple(ssl) }
    if let client, version == .tls12, isResumed {
      client.sessions?.keepResumed(client, ssl)
    }
    return .established
  }

  /// Most bytes that a record adds to its plaintext: header, content type, explicit nonce and tag;
  /// for suites with CBC a vector, a MAC and padding.
  private static func overhead(of ssl: OpaquePointer) -> Int {
    let isAEAD = SSL_CIPHER_is_aead(SSL_get_current_cipher(ssl)) == 1
    return isAEAD ? 5 + 8 + 16 : 5 + 16 + 48 + 16
  }
}
