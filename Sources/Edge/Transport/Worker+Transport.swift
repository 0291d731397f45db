internal import CLinux
internal import Glibc
internal import Reactor
internal import Units

/// The calls that connections make on what carries them.
///
/// Cleartext goes straight to the reactor, one predictable branch away; the rest has a function of
/// its own so that callers stay small.
extension Worker {
  /// Queues bytes of a block; one reference moves along.
  ///
  /// - Returns: `false` when a table is full; the reference is dropped then and the connection has
  ///   to be given up.
  @discardableResult
  @inline(__always)
  func write(_ transport: Transport, block: Int32, start: Int, count: Int) -> Bool {
    guard transport.isSocket else {
      return writeAbove(transport, block: block, start: start, count: count)
    }
    return reactor.write(transport.index, block: block, start: start, count: count)
  }

  private func writeAbove(_ transport: Transport, block: Int32, start: Int, count: Int) -> Bool {
    transport.isSecure
      ? writeSecure(transport.index, block: block, start: start, count: count)
      : writeStream(transport.index, block: block, start: start, count: count)
  }

  /// Copies bytes behind what is queued where that is cheap.
  ///
  /// - Returns: `false` when there is no room; the caller then takes a block of its own.
  @inline(__always)
  func append(_ transport: Transport, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    guard transport.isSocket else { return appendAbove(transport, bytes, count: count) }
    return reactor.append(transport.index, bytes, count: count)
  }

  private func appendAbove(
    _ transport: Transport,
    _ bytes: UnsafePointer<UInt8>,
    count: Int
  ) -> Bool {
    transport.isSecure
      ? appendSecure(transport.index, bytes, count: count)
      : appendStream(transport.index, bytes, count: count)
  }

  /// Bytes that were written and that nobody took yet.
  @inline(__always)
  func queuedBytes(_ transport: Transport) -> Int {
    guard transport.isSocket else { return queuedBytesAbove(transport) }
    return reactor.queuedBytes(transport.index)
  }

  private func queuedBytesAbove(_ transport: Transport) -> Int {
    transport.isSecure
      ? queuedSecureBytes(transport.index) : Int(links[Int(transport.index)].outgoing.bytes)
  }

  /// Bytes that the kernel was given and that the peer's has not acknowledged, of what is no stream.
  func unacknowledged(_ transport: Transport) -> Int64 {
    let socket = transport.isSecure ? secureLinks[transport.index].pointee.socket : transport.index
    return max(0, clinux_unacknowledged(reactor.descriptor(socket)))
  }

  /// Whether more should wait until what is queued was taken.
  @inline(__always)
  func isFull(_ transport: Transport) -> Bool {
    guard transport.isSocket else { return isFullAbove(transport) }
    return reactor.queuedBytes(transport.index) > Self.highWatermark
  }

  private func isFullAbove(_ transport: Transport) -> Bool {
    transport.isSecure
      ? queuedSecureBytes(transport.index) > Self.highWatermark : isStreamFull(transport.index)
  }

  /// Whether one read may bring several blocks; streams of a service are bounded by their windows.
  func readInBulk(_ transport: Transport, _ isAllowed: Bool) {
    if transport.isSocket { return reactor.readInBulk(transport.index, isAllowed) }
    guard transport.isSecure else { return }
    reactor.readInBulk(secureLinks[transport.index].pointee.socket, isAllowed)
  }

  /// Asks for one `drained` event when there is room again.
  func notifyWhenThereIsRoom(_ transport: Transport) {
    // A stream that has little queued waits for its session: it may go on when all of it is gone.
    let isShort = transport.isStream && queuedBytes(transport) <= Self.lowWatermark
    notifyWhenDrained(transport, below: isShort ? 0 : Self.lowWatermark)
  }

  /// Asks for no more bytes; what is on its way still comes.
  func pause(_ transport: Transport) {
    if transport.isSocket { return reactor.pause(transport.index) }
    transport.isSecure ? pauseSecure(transport.index) : pauseStream(transport.index)
  }

  /// Asks for bytes again.
  func resume(_ transport: Transport) {
    if transport.isSocket { return reactor.resume(transport.index) }
    transport.isSecure ? resumeSecure(transport.index) : resumeStream(transport.index)
  }

  /// Asks for one `drained` event when at most `mark` bytes are queued; at once when that is so.
  func notifyWhenDrained(_ transport: Transport, below mark: Int) {
    if transport.isSocket { return reactor.notifyWhenDrained(transport.index, below: mark) }
    transport.isSecure
      ? notifyWhenSecureDrained(transport.index, below: mark)
      : notifyWhenStreamDrained(transport.index, below: mark)
  }

  /// Says that nothing more will come once everything queued is sent; reading goes on.
  func finishWriting(_ transport: Transport) {
    if transport.isSocket { return reactor.finishWriting(transport.index) }
    transport.isSecure ? finishSecure(transport.index) : finishStream(transport.index)
  }

  /// Ends the transport and forgets what is unsent; a reset tells the peer that bytes are missing.
  func closeTransport(_ transport: Transport, reset: Bool) {
    if transport.isSocket { return reactor.close(transport.index, reset: reset) }
    transport.isSecure
      ? closeSecure(transport.index, reset: reset) : closeStream(transport.index, reset: reset)
  }

  /// Names another receiver of events; streams know theirs by their link.
  func setOwner(_ transport: Transport, _ owner: Owner) {
    if transport.isSocket { return reactor.setOwner(transport.index, owner) }
    if transport.isSecure { secureLinks[transport.index].pointee.owner = owner }
  }

  /// Asks the kernel whether an end or unasked bytes wait to be read on a kept connection.
  func quiet(_ transport: Transport) -> Quiet {
    let socket = transport.isSecure ? secureLinks[transport.index].pointee.socket : transport.index
    var byte: UInt8 = 0
    switch clinux_peek(reactor.descriptor(socket), &byte) {
    case -Int64(EAGAIN): return hasLeftover(transport) ? .unknown : .quiet
    case 1... where transport.isSecure: return .unknown
    default: return .broken
    }
  }
}

/// What can be said of a kept connection before it is used.
enum Quiet {
  case quiet
  /// Bytes came that are not decrypted yet: a ticket of TLS 1.3, which changes nothing, or the end.
  /// The next turn knows.
  case unknown
  case broken
}
