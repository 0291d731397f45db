internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import Units

/// Callers that send and read slowly.
extension LoadClient {
  /// Pieces of a request that is sent slowly.
  private static let pieces: Int64 = 20

  /// Starts the clock of a slow caller's attempt.
  func beginPace(_ index: Int32) {
    let call = calls[index]
    guard let pace = kinds[Int(call.pointee.kind)].pace, pace.sending > .zero else { return }
    armPace(index, Nanoseconds(pace.sending.rawValue / Self.pieces))
  }

  /// Bytes of a message that may have been sent by now.
  func dueBytes(_ call: UnsafeMutablePointer<Call>, of total: Int) -> Int {
    guard let pace = kinds[Int(call.pointee.kind)].pace, pace.sending > .zero else { return total }
    let since = max(0, (reactor.now - call.pointee.began).rawValue)
    guard since < pace.sending.rawValue else { return total }
    let piece = max(1, (total + Int(Self.pieces) - 1) / Int(Self.pieces))
    return min(total, piece * (1 + Int(since * Self.pieces / pace.sending.rawValue)))
  }

  /// Waits before the next bytes of the answer are read.
  func pauseReading(_ index: Int32, _ count: Int) {
    let call = calls[index]
    guard let pace = kinds[Int(call.pointee.kind)].pace else { return }
    call.pointee.unread += Int32(count)
    guard !call.pointee.isReadPaused else { return }
    call.pointee.isReadPaused = true
    let connection = connections[call.pointee.connection]
    if connection.pointee.http2 == nil { reactor.pause(connection.pointee.socket) }
    armPace(index, pace.pause)
  }

  private func armPace(_ index: Int32, _ wait: Nanoseconds) {
    let call = calls[index]
    if call.pointee.paceTimer < 0 {
      call.pointee.paceTimer = reactor.timers.allocate(
        for: Owner(kind: OwnerKind.pace, index: index, generation: calls.generation(index))
      )
    }
    // Without one the call is as fast as others, and its kind's figures say so.
    guard call.pointee.paceTimer >= 0 else { return }
    reactor.timers.set(call.pointee.paceTimer, at: reactor.now + wait)
  }

  func paceFired(_ index: Int32) {
    let call = calls[index]
    guard call.pointee.state == .active, call.pointee.connection >= 0,
      let pace = kinds[Int(call.pointee.kind)].pace
    else { return }
    let place = call.pointee.connection
    let generation = calls.generation(index)
    if call.pointee.isReadPaused { resumeReading(call) }
    guard pace.sending > .zero else { return }
    if let http2 = connections[place].pointee.http2?.takeUnretainedValue() {
      guard call.pointee.sent < prepared[Int(call.pointee.kind)].bodyLength else { return }
      offerBody(index, http2)
      markDirty(place)
    } else {
      guard call.pointee.sent < prepared[Int(call.pointee.kind)].length else { return }
      pump(place)
    }
    guard calls.generation(index) == generation, !call.pointee.isReadPaused else { return }
    armPace(index, Nanoseconds(pace.sending.rawValue / Self.pieces))
  }

  private func resumeReading(_ call: UnsafeMutablePointer<Call>) {
    call.pointee.isReadPaused = false
    let connection = connections[call.pointee.connection]
    if let http2 = connection.pointee.http2?.takeUnretainedValue() {
      if call.pointee.stream >= 0 { http2.consume(call.pointee.stream, Int(call.pointee.unread)) }
      markDirty(call.pointee.connection)
    } else {
      reactor.resume(connection.pointee.socket)
    }
    call.pointee.unread = 0
  }

  /// The attempt is over: nothing is paced any more, and a connection that lives on is read again.
  func endPace(_ call: UnsafeMutablePointer<Call>) {
    guard call.pointee.paceTimer >= 0 else { return }
    reactor.timers.release(call.pointee.paceTimer)
    call.pointee.paceTimer = -1
    call.pointee.isReadPaused = false
    call.pointee.unread = 0
  }
}
