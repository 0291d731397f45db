internal import COpenSSL

extension TLSSession {
  /// Tells that the transport will bring nothing beyond the input not consumed yet.
  ///
  /// Once that is used up, `read` and `handshake` return the fault `truncated` where they would
  /// ask for input, unless the peer's close_notify came first.
  public func endInput() { inputEnded = true }

  /// Writes close_notify; nothing can be written afterwards, while reading goes on.
  ///
  /// - Returns: `closed` when it is in the window, or was not due, as before the handshake is over
  ///   or after a fault; `needsOutput` when it found no room: 64 bytes are enough.
  public func end(_ window: inout CiphertextWindow) -> TLSStep {
    // Once it is written, OpenSSL would take a further call for a wish to read, and eat data.
    guard case .open = phase, unfinished == 0, !endIsWritten else { return .closed }
    isEnding = true
    lend(&window)
    copenssl_clear_errors()
    let result = SSL_shutdown(ssl)
    let step = result >= 0 ? TLSStep.closed : stopped(result)
    takeBack(&window)
    endIsWritten = step == .closed
    return step
  }

  /// Whether the peer's close_notify came.
  public var peerEnded: Bool { SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN != 0 }
}
