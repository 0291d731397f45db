internal import Reactor
internal import Units

/// Permits of exchanges that wait for their clients.
///
/// A permit is the right to a share of the service, and a client that dribbles its body or reads
/// slowly would keep that share from all others. So an exchange that waits for its client this long
/// gives the permit back and goes on without one.
extension Worker {
  private static let clientPatience = Nanoseconds.milliseconds(100)

  /// From now on it is the client that the exchange waits for.
  func waitForClient(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.admission.state == .permitted,
      exchange.pointee.admission.pacedUntil == .never
    else { return }
    exchange.pointee.admission.pacedUntil = reactor.now + Self.clientPatience
    armTimer(exchange)
  }

  /// The client sent or read something.
  func clientMoved(_ exchange: UnsafeMutablePointer<Exchange>) {
    // The timer is left as it is: it looks anew when it fires.
    exchange.pointee.admission.pacedUntil = .never
  }

  /// The client took its time: what the exchange takes from now on is not the service's doing.
  func clientIsSlow(_ exchange: UnsafeMutablePointer<Exchange>) {
    exchange.pointee.admission.pacedUntil = .never
    leaveAdmission(exchange)
  }
}
