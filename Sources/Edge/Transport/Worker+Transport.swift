internal import CLinux
internal import Glibc
internal import Reactor

/// The calls that connections make on what carries them.
extension Worker {
  /// Queues bytes of a block; one reference moves along.
  ///
  /// - Returns: `false` when a table is full; the reference is dropped then and the connection has
  ///   to be given up.
  @discardableResult
  @inline(__always)
  func write(_ transport: Transport, block: Int32, start: Int, count: Int) -> Bool {
    if transport.isStream {
      return writeStream(transport.index, block: block, start: start, count: count)
    }
    return reactor.write(transport.index, block: block, start: start, count: count)
  }

  /// Copies bytes behind what is queued where that is cheap.
  ///
  /// - Returns: `false` when there is no room; the caller then takes a block of its own.
  @inline(__always)
  func append(_ transport: Transport, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    if transport.isStream {
      return appendStream(transport.index, bytes, count: count)
    }
    return reactor.append(transport.index, bytes, count: count)
  }

  /// Bytes that were written and that nobody took yet.
  @inline(__always)
  func queuedBytes(_ transport: Transport) -> Int {
    transport.isStream
      ? Int(links[Int(transport.index)].queued) : reactor.queuedBytes(transport.index)
  }

  /// Whether more should wait until what is queued was taken.
  @inline(__always)
  func isFull(_ transport: Transport) -> Bool {
    transport.isStream
      ? isStreamFull(transport.index)
      : reactor.queuedBytes(transport.index) > Self.highWatermark
  }

  /// Asks for one `drained` event when there is room again.
  func notifyWhenThereIsRoom(_ transport: Transport) {
    // A stream that has little queued waits for its session: it may go on when all of it is gone.
    let isShort = transport.isStream && queuedBytes(transport) <= Self.lowWatermark
    notifyWhenDrained(transport, below: isShort ? 0 : Self.lowWatermark)
  }

  /// Asks for no more bytes; what is on its way still comes.
  func pause(_ transport: Transport) {
    transport.isStream ? pauseStream(transport.index) : reactor.pause(transport.index)
  }

  /// Asks for bytes again.
  func resume(_ transport: Transport) {
    transport.isStream ? resumeStream(transport.index) : reactor.resume(transport.index)
  }

  /// Asks for one `drained` event when at most `mark` bytes are queued; at once when that is so.
  func notifyWhenDrained(_ transport: Transport, below mark: Int) {
    transport.isStream
      ? notifyWhenStreamDrained(transport.index, below: mark)
      : reactor.notifyWhenDrained(transport.index, below: mark)
  }

  /// Says that nothing more will come once everything queued is sent; reading goes on.
  func finishWriting(_ transport: Transport) {
    transport.isStream ? finishStream(transport.index) : reactor.finishWriting(transport.index)
  }

  /// Ends the transport and forgets what is unsent; a reset tells the peer that bytes are missing.
  func closeTransport(_ transport: Transport, reset: Bool) {
    transport.isStream
      ? closeStream(transport.index, reset: reset) : reactor.close(transport.index, reset: reset)
  }

  /// Names another receiver of events; streams know theirs by their link.
  func setOwner(_ transport: Transport, _ owner: Owner) {
    reactor.setOwner(transport.index, owner)
  }

  /// Whether neither an end nor unasked bytes wait to be read.
  func isQuiet(_ transport: Transport) -> Bool {
    var byte: UInt8 = 0
    return clinux_peek(reactor.descriptor(transport.index), &byte) == -Int64(EAGAIN)
  }
}
