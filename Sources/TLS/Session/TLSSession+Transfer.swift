internal import COpenSSL

extension TLSSession {
  /// Reads plaintext.
  ///
  /// A fault or the peer's end is told after the plaintext before it was read.
  ///
  /// - Parameters:
  ///   - plaintext: Where it goes.
  ///   - capacity: Bytes there, at least 1. With less than a record's worth the rest of the record
  ///     stays in the session, and `hasUnread` says so.
  ///   - window: Ciphertext; reading may also write, in answer to a key update.
  /// - Returns: `plaintext` with the number of bytes, `needsInput`, `needsOutput`, `closed`, or a
  ///   fault.
  public func read(
    into plaintext: UnsafeMutablePointer<UInt8>,
    capacity: Int,
    _ window: inout CiphertextWindow
  ) -> TLSStep {
    precondition(capacity > 0, "no room for plaintext")
    guard case .open = phase else {
      let step = handshake(&window)
      return step == .established ? read(into: plaintext, capacity: capacity, &window) : step
    }
    lend(&window)
    var total = 0
    var step = TLSStep.needsInput
    while total < capacity {
      var count = 0
      copenssl_clear_errors()
      let result = SSL_read_ex(ssl, plaintext + total, capacity - total, &count)
      if result == 1 {
        total += count
        bytesRead &+= count
        continue
      }
      step = stopped(result)
      guard step == .needsInput, stream.pointee.input_used < stream.pointee.input_count else {
        break
      }
      // A record without data was used up, and there are more bytes.
      controlRecords += 1
      if controlRecords - Self.freeControlRecords > bytesRead / Self.bytesPerControlRecord {
        step = fail(.tooManyControlRecords)
        break
      }
    }
    takeBack(&window)
    return total > 0 ? .plaintext(total) : step
  }

  /// Whether plaintext is left in the session that `read` gives without further input.
  public var hasUnread: Bool {
    guard case .open = phase else { return false }
    return SSL_pending(ssl) > 0
  }

  /// Encrypts as much plaintext as has room in the window.
  ///
  /// - Parameters:
  ///   - plaintext: What is to be sent. What was not accepted must be given again, the same bytes
  ///     at any address, before anything else.
  ///   - count: How many bytes.
  ///   - window: Where ciphertext goes; a 16 KiB block takes about 16,350 bytes in one record.
  /// - Returns: `plaintext` with the number of bytes accepted, all of whose ciphertext is in the
  ///   window; `needsOutput` when nothing was accepted for want of room; `needsInput` during the
  ///   handshake; or a fault.
  public func write(
    _ plaintext: UnsafePointer<UInt8>,
    count: Int,
    _ window: inout CiphertextWindow
  ) -> TLSStep {
    guard case .open = phase else {
      let step = handshake(&window)
      return step == .established ? write(plaintext, count: count, &window) : step
    }
    precondition(!isEnding, "written after the end")
    precondition(count >= unfinished, "unaccepted bytes were not given again")
    lend(&window)
    var accepted = 0
    var step = TLSStep.needsOutput
    while accepted < count {
      let length = nextFragment(left: count - accepted, isFirst: accepted == 0)
      guard length > 0 else { break }
      var written = 0
      copenssl_clear_errors()
      let result = SSL_write_ex(ssl, plaintext + accepted, length, &written)
      guard result == 1 else {
        step = stopped(result)
        // Its record may be made already, and OpenSSL wants to be asked the same again.
        if step == .needsOutput { unfinished = length }
        break
      }
      unfinished = 0
      accepted += written
    }
    takeBack(&window)
    return accepted > 0 || count == 0 ? .plaintext(accepted) : step
  }

  /// Plaintext of the next record, 0 when it is not worth one.
  private func nextFragment(left: Int, isFirst: Bool) -> Int {
    if unfinished > 0 { return unfinished }
    let room = stream.pointee.output_room - stream.pointee.output_used
    let length = min(left, Self.maximumFragment, room - recordOverhead)
    // A full record that is cut short by a few bytes of room costs both sides as much as another.
    guard length == left || isFirst || room >= Self.smallestRoom else { return 0 }
    return max(0, length)
  }
}
