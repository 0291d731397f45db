internal import COpenSSL

extension TLSSession {
  /// Shows OpenSSL what is left of the window.
  func lend(_ window: inout CiphertextWindow) {
    stream.pointee.input = window.input.map { $0 + window.consumed }
    stream.pointee.input_count = window.unread
    stream.pointee.input_used = 0
    stream.pointee.output = window.output.map { $0 + window.produced }
    stream.pointee.output_room = window.room
    stream.pointee.output_used = 0
  }

  /// Books what OpenSSL used, and forgets the window.
  func takeBack(_ window: inout CiphertextWindow) {
    window.consumed += stream.pointee.input_used
    window.produced += stream.pointee.output_used
    consumed &+= stream.pointee.input_used
    stream.pointee.input = nil
    stream.pointee.input_count = 0
    stream.pointee.input_used = 0
    stream.pointee.output = nil
    stream.pointee.output_room = 0
    stream.pointee.output_used = 0
  }

  /// What an unsuccessful call means; the window must still be lent.
  func stopped(_ result: Int32) -> TLSStep {
    switch SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ:
      if stream.pointee.is_stopped != 0 { return fail(.renegotiation) }
      let left = stream.pointee.input_count - stream.pointee.input_used
      if left > 0, stream.pointee.allowance == 0 { return fail(.handshakeTooLong) }
      return left == 0 && inputEnded ? fail(.truncated) : .needsInput
    case SSL_ERROR_WANT_WRITE: return .needsOutput
    case SSL_ERROR_ZERO_RETURN: return .closed
    default: return fail(TLSFault.take(from: ssl))
    }
  }

  func fail(_ fault: TLSFault) -> TLSStep {
    phase = .failed(fault)
    return .fault(fault)
  }
}
