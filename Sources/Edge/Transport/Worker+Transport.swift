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
    reactor.write(transport.index, block: block, start: start, count: count)
  }

  /// Copies bytes behind what is queued where that is cheap.
  ///
  /// - Returns: `false` when there is no room; the caller then takes a block of its own.
  @inline(__always)
  func append(_ transport: Transport, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    reactor.append(transport.index, bytes, count: count)
  }

  /// Bytes that were written and that nobody took yet.
  @inline(__always)
  func queuedBytes(_ transport: Transport) -> Int { reactor.queuedBytes(transport.index) }

  /// Asks for no more bytes; what is on its way still comes.
  func pause(_ transport: Transport) { reactor.pause(transport.index) }

  /// Asks for bytes again.
  func resume(_ transport: Transport) { reactor.resume(transport.index) }

  /// Asks for one `drained` event when at most `mark` bytes are queued; at once when that is so.
  func notifyWhenDrained(_ transport: Transport, below mark: Int) {
    reactor.notifyWhenDrained(transport.index, below: mark)
  }

  /// Says that nothing more will come once everything queued is sent; reading goes on.
  func finishWriting(_ transport: Transport) { reactor.finishWriting(transport.index) }

  /// Ends the transport and forgets what is unsent; a reset tells the peer that bytes are missing.
  func closeTransport(_ transport: Transport, reset: Bool) {
    reactor.close(transport.index, reset: reset)
  }

  /// Whether neither an end nor unasked bytes wait to be read.
  func isQuiet(_ transport: Transport) -> Bool {
    var byte: UInt8 = 0
    return clinux_peek(reactor.descriptor(transport.index), &byte) == -Int64(EAGAIN)
  }
}
