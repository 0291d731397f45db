internal import Reactor
internal import Units
internal import Upstream

/// Room for a new connection to a service whose bound is reached by connections that lie idle.
///
/// The bound is one for the whole process, and an idle connection of this worker can be closed at
/// once. One of another worker is that worker's own: it is told, closes one, and the request waits
/// for the moment that takes. When nobody has an idle one the service is busy indeed, and the
/// request is refused without any wait.
extension Worker {
  /// How long a request waits for another worker to close an idle connection.
  ///
  /// Far more than that takes, unless the other one is stuck in a long turn; then an answer that is
  /// late is still better than a refusal.
  private static let roomPatience = Nanoseconds.seconds(1)
  /// How often it looks.
  static let roomInterval = Nanoseconds.milliseconds(1)

  /// Reserves a connection to an endpoint of a service, at the cost of idle ones.
  func reserveRoom(_ endpoint: Int32, _ service: UnsafePointer<CompiledService>) -> Bool {
    let place = service.pointee.place
    let each = service.pointee.caps?.endpointConnections ?? .max
    while true {
      let room = shared.caps.reserveConnection(
        place,
        endpoint,
        below: service.pointee.maximumConnections,
        each: each
      )
      // Another worker may be quicker to take what was given back.
      switch room {
      case .reserved: return true
      case .serviceFull: guard closeOldestIdle(of: place) else { return false }
      case .endpointFull: guard closeOldestIdle(ofEndpoint: endpoint) else { return false }
      }
    }
  }

  /// Gives back what `reserveRoom` took.
  func returnRoom(_ endpoint: Int32, _ service: Int32) {
    shared.caps.returnConnection(service, endpoint)
    noteRoom(service)
  }

  /// Has other workers close what lies idle with them.
  ///
  /// - Parameters:
  ///   - wish: The service's place: one worker does. Or `~place` of an endpoint: all do, since what
  ///     they have is counted by service.
  ///   - service: The service's place.
  /// - Returns: Whether there is any such worker.
  @discardableResult
  func wish(for wish: Int32, of service: Int32) -> Bool {
    var isAny = false
    for other in mailboxes.indices where hasIdle(other, service) {
      mailboxes[other].wish(for: wish)
      isAny = true
      if wish >= 0 { break }
    }
    return isAny
  }

  /// Whether any other worker has a connection to a service that lies idle.
  func isIdleElsewhere(_ service: Int32) -> Bool {
    mailboxes.indices.contains { hasIdle($0, service) }
  }

  private func hasIdle(_ other: Int, _ service: Int32) -> Bool {
    other != number && shared.idleConnections(other, service) > 0
  }

  /// Whether the request waits for another worker to make room; the time for it is set then.
  ///
  /// `wanted`: What is wished for of the service, see `wish(for:of:)`.
  func waitForRoom(_ index: Int32, for wanted: Int32, of service: Int32) -> Bool {
    let exchange = exchanges[index]
    // Of two attempts one that cannot go out is of no use.
    if exchange.pointee.flags.contains(.isHedged) { return false }
    if exchange.pointee.roomUntil == .never {
      guard wish(for: wanted, of: service) else { return false }
      exchange.pointee.roomUntil = reactor.now + Self.roomPatience
    }
    guard reactor.now < exchange.pointee.roomUntil else { return false }
    setAttemptDeadline(exchange, reactor.now + Self.roomInterval)
    return true
  }

  /// Looks again, as if the attempt began now.
  func lookForRoom(_ index: Int32) {
    let exchange = exchanges[index]
    forgetAttempt(exchange)
    exchange.pointee.attempts -= 1
    exchange.pointee.endpoint = exchange.pointee.previousEndpoint
    if exchange.pointee.flags.contains(.hasRepeated) { exchange.pointee.flags.insert(.wantsFresh) }
    attemptAndPump(index)
  }

  /// Takes what other workers wish for and grants what lies idle now.
  func readWishes() {
    let new = mailbox.takeWishes()
    guard !new.isEmpty else { return }
    wishes.formUnion(new)
    wishesUntil = reactor.now + Self.roomPatience
    for wish in new { grantWish(wish) }
  }

  /// Grants what others wish for, and forgets it once nobody waits for it any more.
  func grantWishes() {
    guard reactor.now < wishesUntil else { return wishes.removeAll(keepingCapacity: true) }
    for wish in wishes { grantWish(wish) }
  }

  /// Closes one idle connection of a service that another worker has no room for.
  ///
  /// A wish that finds none waits for the next connection that becomes idle, for a second.
  ///
  /// `wish`: The service's place, or `~place` of the endpoint that it has to be.
  func grantWish(_ wish: Int32) {
    guard wishes.contains(wish),
      wish < 0 ? closeOldestIdle(ofEndpoint: ~wish) : closeOldestIdle(of: wish)
    else { return }
    wishes.remove(wish)
  }

  /// Closes the idle connection to an endpoint that was longest without use.
  private func closeOldestIdle(ofEndpoint place: Int32) -> Bool {
    let oldest = endpoints[Int(place)].oldestIdle
    guard oldest >= 0 else { return closeIdleSession(ofEndpoint: place) }
    idleBroken(oldest)
    return true
  }

  /// Closes the idle connection to a service that was longest without use, whatever its endpoint.
  private func closeOldestIdle(of service: Int32) -> Bool {
    // The count spares a busy service the search.
    guard shared.idleConnections(number, service) > 0 else { return false }
    var found: Int32 = -1
    for place in knownPlaces {
      let oldest = endpoints[Int(place)].oldestIdle
      guard oldest >= 0, upstreams[oldest].pointee.service == service else { continue }
      if found < 0 || upstreams[oldest].pointee.idleUntil < upstreams[found].pointee.idleUntil {
        found = oldest
      }
    }
    guard found >= 0 else { return closeIdleSession(of: service) }
    idleBroken(found)
    return true
  }
}
