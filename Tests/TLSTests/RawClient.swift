import COpenSSL
import TLS

/// A client made of OpenSSL alone, for what ours never does; believes any server.
final class RawClient {
  let context: OpaquePointer
  let ssl: OpaquePointer
  private let incoming: OpaquePointer
  private let outgoing: OpaquePointer

  init(session: OpaquePointer? = nil, _ change: (OpaquePointer) -> Void = { _ in }) {
    guard let context = SSL_CTX_new(TLS_client_method()) else { fatalError("out of memory") }
    self.context = context
    SSL_CTX_set_security_level(context, 0)
    change(context)
    guard let ssl = SSL_new(context), let incoming = BIO_new(BIO_s_mem()),
      let outgoing = BIO_new(BIO_s_mem())
    else { fatalError("out of memory") }
    self.ssl = ssl
    self.incoming = incoming
    self.outgoing = outgoing
    SSL_set_bio(ssl, incoming, outgoing)
    SSL_set_connect_state(ssl)
    if let session { SSL_set_session(ssl, session) }
  }

  deinit {
    SSL_free(ssl)
    SSL_CTX_free(context)
    ERR_clear_error()
  }

  /// Moves what it has written to the server's inbox.
  func send(to server: Peer) {
    var block = [UInt8](repeating: 0, count: 16_384)
    while case let count = BIO_read(outgoing, &block, 16_384), count > 0 {
      server.inbox += block[..<Int(count)]
    }
  }

  func receive(_ bytes: [UInt8]) { BIO_write(incoming, bytes, Int32(bytes.count)) }

  /// Shakes hands until neither side gets any further.
  func connect(to server: Peer) {
    for _ in 0..<10 {
      ERR_clear_error()
      SSL_do_handshake(ssl)
      exchange(with: server)
    }
  }

  /// Moves bytes both ways once; the server reads as long as it can.
  func exchange(with server: Peer) {
    send(to: server)
    let before = server.sent.count
    repeat { server.read(nil) } while server.last.isPlaintext
    receive(Array(server.sent[before...]))
  }

  /// Reads what has come.
  @discardableResult
  func read() -> [UInt8] {
    var block = [UInt8](repeating: 0, count: 65_536)
    ERR_clear_error()
    let count = SSL_read(ssl, &block, 65_536)
    return count > 0 ? Array(block[..<Int(count)]) : []
  }

  func write(_ bytes: [UInt8]) {
    ERR_clear_error()
    SSL_write(ssl, bytes, Int32(bytes.count))
  }
}

extension TLSStep {
  var isPlaintext: Bool {
    if case .plaintext = self { return true }
    return false
  }

  var fault: TLSFault? {
    if case .fault(let fault) = self { return fault }
    return nil
  }
}
