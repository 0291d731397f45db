internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units

/// Exchanges that outlast their permits.
///
/// Their permits end with the response head, or once their clients were waited for long enough; from
/// then on they count among the service's open streams, of which there is a bound.
///
/// - Upgrades and event streams that find no room are answered with 503, and the service's connection
///   is closed. A WebSocket is refused before the service hears of it, where there is no room already.
/// - A call of gRPC says nowhere whether it is a stream, and most are over with the next bytes. So
///   one that finds no room goes on, on its permit, and is reset when it has not ended in 100 ms.
/// - Who waits for a client and finds no room is answered with 503 where there is no response yet, and
///   else cut off: kept on their permits, as many as the limit would keep out everybody.
extension Worker {
  /// Refuses a WebSocket that would find no room.
  func refuseTunnel(_ view: RequestView, _ place: AdmissionPlace) -> Refusal? {
    let entry = admissions[place.slot]
    guard !place.isShadow, !entry.pointee.admission.hasStreamRoom,
      WebSocketRequest.isAskedFor(by: view)
    else { return nil }
    let refusal = entry.pointee.admission.streamRefusal()
    entry.pointee.tally.countRefused(.upgrade, isShadow: false)
    note(refusal, place)
    return refusal
  }

  /// Ends an exchange's permit and counts it among the open streams.
  ///
  /// - Returns: Whether there was room; without it nothing has changed.
  func becomeStream(_ exchange: UnsafeMutablePointer<Exchange>, _ kind: StreamKind) -> Bool {
    let place = exchange.pointee.admission
    guard place.slot >= 0, place.state != .streaming else { return true }
    let entry = admissions[place.slot]
    if !entry.pointee.admission.openStream() {
      guard place.isShadow, entry.pointee.admission.openStream(isForced: true) else { return false }
      entry.pointee.tally.countRefused(kind, isShadow: true)
    }
    leaveAdmission(exchange)
    exchange.pointee.admission.state = .streaming
    return true
  }

  /// Counts a call of the edge itself among the open streams before it goes out: how long its answer
  /// is waited for says nothing of the service.
  ///
  /// - Returns: The refusal, where there was no room.
  func beginEndless(_ place: inout AdmissionPlace) -> Refusal? {
    let entry = admissions[place.slot]
    if !entry.pointee.admission.openStream() {
      entry.pointee.tally.countRefused(.internalCall, isShadow: place.isShadow)
      guard place.isShadow, entry.pointee.admission.openStream(isForced: true) else {
        let refusal = entry.pointee.admission.streamRefusal()
        note(refusal, place)
        return refusal
      }
    }
    place.state = .streaming
    return nil
  }

  /// A response head says that what follows is a stream.
  ///
  /// - Returns: `false` when there was no room, and the exchange has been answered.
  func beginStream(_ index: Int32, _ kind: StreamKind) -> Bool {
    let exchange = exchanges[index]
    if becomeStream(exchange, kind) { return true }
    guard kind == .call else {
      refuseStream(index, kind)
      return false
    }
    exchange.pointee.admission.isCrowded = true
    exchange.pointee.admission.pacedUntil = reactor.now + AdmissionPlace.clientPatience
    armTimer(exchange)
    return true
  }

  /// Ends an exchange that found no room, visibly.
  private func refuseStream(_ index: Int32, _ kind: StreamKind) {
    let exchange = exchanges[index]
    admissions[exchange.pointee.admission.slot].pointee.tally.countRefused(kind, isShadow: false)
    let refusal = admissions[exchange.pointee.admission.slot].pointee.admission.streamRefusal()
    keepRecord(refusal, exchange.pointee.admission)
    switch exchange.pointee.phase {
    case .queued, .backoff, .connecting, .waiting:
      fail(index, .shedOpenStreams, retryAfter: refusal.retryAfter)
    case .relaying, .tunnel:
      truncate(index, .shedOpenStreams)
    }
  }

  /// An exchange held its permit for as long as its client may be waited for.
  ///
  /// - Returns: Whether it goes on; `false` when it has been ended.
  func patienceEnded(_ index: Int32) -> Bool {
    let exchange = exchanges[index]
    exchange.pointee.admission.pacedUntil = .never
    giveUpProbes(exchange)
    guard exchange.pointee.admission.state == .permitted else { return true }
    let isCall = exchange.pointee.admission.isCrowded
    // What the exchange takes from now on is not the service's doing.
    if !isCall { exchange.pointee.admission.isLearned = false }
    let kind = isCall ? StreamKind.call : .slowClient
    guard becomeStream(exchange, kind) else {
      refuseStream(index, kind)
      return false
    }
    exchange.pointee.admission.wasSlow = !isCall
    endAwaiting(exchange.pointee.upstream)
    return true
  }
}
