internal import Admission
internal import Reactor
internal import Units

/// Permits of exchanges that wait for their clients.
///
/// A permit is the right to a share of the service, and a client that dribbles its body or reads
/// slowly would keep that share from all others. So an exchange that waits for its client this long,
/// all waits together, gives the permit back and counts as an open stream (`Worker+OpenStreams`). Once
/// its request is whole it takes one again, above the limit where need be: what is at the service is
/// counted.
extension Worker {
  /// What a client may take without the exchange's time being useless as a measure.
  private static let noticeable = Nanoseconds.milliseconds(5)

  /// From now on it is the client that the exchange waits for.
  func waitForClient(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.admission.state == .permitted,
      exchange.pointee.admission.pacedUntil == .never
    else { return }
    // It is the service that owes a word: its 100.
    let flags = exchange.pointee.flags
    if flags.contains(.expectsContinue), exchange.pointee.interims == 0 { return }
    exchange.pointee.admission.pacedUntil = reactor.now + exchange.pointee.admission.patience
    armTimer(exchange)
  }

  /// The client sent or read something.
  func clientMoved(_ exchange: UnsafeMutablePointer<Exchange>) {
    let until = exchange.pointee.admission.pacedUntil
    guard until != .never, !exchange.pointee.admission.isCrowded else { return }
    // The timer is left as it is: it looks anew when it fires.
    exchange.pointee.admission.pacedUntil = .never
    let left = max(.zero, until - reactor.now)
    if exchange.pointee.admission.patience - left >= Self.noticeable {
      exchange.pointee.admission.isLearned = false
    }
    exchange.pointee.admission.patience = left
  }

  /// The client's part is done: the service has the whole request now, or will have it soon.
  func requestIsWhole(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.admission.wasSlow, exchange.pointee.headAt == .never else { return }
    exchange.pointee.admission.wasSlow = false
    awaitHeadAgain(exchange.pointee.upstream)
    leaveAdmission(exchange)
    let entry = admissions[exchange.pointee.admission.slot]
    let permit = entry.pointee.admission.resume(exchange.pointee.admission.permit, now: reactor.now)
    exchange.pointee.admission.permit = permit.stored()
    exchange.pointee.admission.state = .permitted
  }
}
