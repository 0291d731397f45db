internal import Admission
internal import Reactor
internal import Telemetry
internal import Units
internal import Upstream

/// Stage 13, where a service has hard caps: its connections, its requests, and who waits for either.
///
/// ```
/// attempt ─▶ enterCaps ─┬▶ chooseWithin ─┬▶ a connection or a stream ─▶ leaveCaps: with the exchange
///     ▲     its requests│  an endpoint's ├▶ noRoom ──┐                   or the wait for a retry
///     │                 └────────────────┴───────────┴▶ waitInLine ─┬▶ refused: too many wait
///     └──────────── serveCaps: the first in line tries again ◀──────┴▶ refused: time is up
/// ```
///
/// Whoever waits holds nothing, and newcomers stand behind it, whatever worker it waits with. Whoever
/// gives something back tells the worker with which a request waits for longest (`noteRoom`). It is the
/// same line for services of HTTP/1.1, which wait for a connection, and of HTTP/2, for a stream.
extension Worker {
  /// What `chooseWithin` says where each endpoint has as much as it may.
  static let allFull: Int32 = -2

  // MARK: - In

  /// Counts an exchange among the requests of its service, unless it is.
  ///
  /// - Returns: False when it waits, or has ended with a reply.
  func enterCaps(
    _ index: Int32,
    _ service: UnsafePointer<CompiledService>,
    _ caps: CapSettings
  ) -> Bool {
    let exchange = exchanges[index]
    if takesRoom(exchange, service, caps) { return true }
    // None was chosen yet: the one that a retry avoids stays the one before.
    exchange.pointee.previousEndpoint = exchange.pointee.endpoint
    waitInLine(index, service, caps)
    return false
  }

  /// The same without a wait.
  func takesRoom(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ service: UnsafePointer<CompiledService>,
    _ caps: CapSettings
  ) -> Bool {
    let place = service.pointee.place
    // Another attempt of a request that is counted.
    if exchange.pointee.caps.service == place { return true }
    guard exchange.pointee.caps.isWaiting || shared.caps.waiting(place) == 0 else { return false }
    let isCounted = caps.requests != .max
    guard !isCounted || shared.caps.reserveRequest(place, below: caps.requests) else {
      return false
    }
    exchange.pointee.caps.service = place
    exchange.pointee.caps.isCounted = isCounted
    return true
  }

  /// Chooses an endpoint that has room for one more, and counts the exchange among its requests.
  ///
  /// - Returns: Its place, -1 where there is none at all, `allFull` where there is no room.
  func chooseWithin(
    _ caps: CapSettings,
    _ service: UnsafePointer<CompiledService>,
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> Int32 {
    leaveEndpoint(exchange)
    while true {
      let place = chooseEndpoint(service, exchange)
      guard place >= 0 else { return -1 }
      // Those that are known to be full are chosen where there is no other.
      let wasFull = endpoints[Int(place)].isFull
      if !wasFull, caps.pending > 0, rests(place), hasFull(service, exchange) {
        // One that could not be reached a moment ago is worse than a wait for one that works.
        forgetChoice(exchange, place)
        return Self.allFull
      }
      if !wasFull, hasRoom(place, service, caps) {
        guard caps.endpointRequests != .max else { return place }
        if shared.caps.reserveRequest(endpoint: place, below: caps.endpointRequests) {
          exchange.pointee.caps.endpoint = place
          return place
        }
      }
      forgetChoice(exchange, place)
      if wasFull {
        wishForRoom(place, service, caps)
        return Self.allFull
      }
      endpoints[Int(place)].isFull = true
      capTurns.full.append(place)
    }
  }

  private func rests(_ place: Int32) -> Bool {
    endpoints[Int(place)].backedOffUntil > reactor.now
  }

  /// Whether an endpoint that works has as much as it may.
  private func hasFull(
    _ service: UnsafePointer<CompiledService>,
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> Bool {
    guard !capTurns.full.isEmpty else { return false }
    let places =
      snapshots[exchange.pointee.snapshot].places + Int(service.pointee.firstEndpoint)
    return (0..<Int(service.pointee.endpointCount)).contains { offset in
      let place = places[offset]
      return endpoints[Int(place)].isFull && !endpoints[Int(place)].hasLeft && !rests(place)
    }
  }

  /// Whether an endpoint would have a connection or a stream for a request, as far as its own cap goes.
  private func hasRoom(
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>,
    _ caps: CapSettings
  ) -> Bool {
    guard caps.endpointConnections != .max,
      shared.caps.connections(endpoint: place) >= Int(caps.endpointConnections)
    else { return true }
    let isHTTP1 =
      service.pointee.http == .http1
      || service.pointee.http == .either && endpoints[Int(place)].chosen == .http1
    if isHTTP1 ? endpoints[Int(place)].newestIdle >= 0 : sessionWithRoom(place) >= 0 { return true }
    // Where nobody may stand in line, `noRoom` sees to what lies idle with other workers.
    return caps.pending == 0 && isIdleElsewhere(service.pointee.place)
  }

  /// Wishes for a connection to an endpoint that has as many as it may: what lies idle with another
  /// worker is in the way of one of ours.
  private func wishForRoom(
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>,
    _ caps: CapSettings
  ) {
    guard shared.caps.connections(endpoint: place) >= Int(caps.endpointConnections) else { return }
    wish(for: ~place, of: service.pointee.place)
  }

  /// Gives back the ticket of an endpoint that was chosen and is not asked.
  private func forgetChoice(_ exchange: UnsafeMutablePointer<Exchange>, _ place: Int32) {
    let before = exchange.pointee.endpoint
    exchange.pointee.endpoint = place
    forgetAttempt(exchange)
    exchange.pointee.endpoint = before
  }

  // MARK: - Out

  /// Gives back what an exchange holds of caps, its place in line included.
  func leaveCaps(_ exchange: UnsafeMutablePointer<Exchange>, _ index: Int32) {
    let service = max(exchange.pointee.caps.service, exchange.pointee.caps.line)
    if exchange.pointee.caps.isWaiting { leaveLine(index) }
    giveBackRoom(exchange)
    // Also where it only waited: whoever stands behind it may have room already.
    noteRoom(service)
  }

  private func giveBackRoom(_ exchange: UnsafeMutablePointer<Exchange>) {
    leaveEndpoint(exchange)
    if exchange.pointee.caps.isCounted { shared.caps.returnRequest(exchange.pointee.caps.service) }
    exchange.pointee.caps.isCounted = false
    exchange.pointee.caps.service = -1
  }

  private func leaveEndpoint(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.caps.endpoint >= 0 else { return }
    shared.caps.returnRequest(endpoint: exchange.pointee.caps.endpoint)
    exchange.pointee.caps.endpoint = -1
  }

  /// Room of a service was given back: whoever waits for longest is told.
  @inline(__always)
  func noteRoom(_ service: Int32) {
    if shared.caps.waiting(service) > 0 { wakeFirst(service) }
  }

  private func wakeFirst(_ service: Int32) {
    guard let first = shared.caps.first(service), first.worker != number else {
      return capTurns.touch(service)
    }
    mailboxes[first.worker].ringRoom(service)
  }

  // MARK: - The line

  /// A service or an endpoint has as many connections as it may.
  func noRoom(_ index: Int32, _ place: Int32, _ service: UnsafePointer<CompiledService>) {
    let exchange = exchanges[index]
    guard let caps = service.pointee.caps, !exchange.pointee.flags.contains(.isHedged) else {
      let any = service.pointee.place
      if waitForRoom(index, for: any, of: any) { return }
      return fail(index, .connectionLimit)
    }
    // One that lies idle with another worker makes room.
    let isOnlyHere = shared.caps.connections(endpoint: place) >= Int(caps.endpointConnections)
    let wanted = isOnlyHere ? ~place : service.pointee.place
    if caps.pending == 0 {
      // Where nobody may stand in line that much time there is.
      if waitForRoom(index, for: wanted, of: service.pointee.place) { return }
    } else {
      wish(for: wanted, of: service.pointee.place)
    }
    let isOwn = isOnlyHere || exchange.pointee.flags.contains(.onlyHTTP1)
    waitInLine(index, service, caps, isOwn ? .own : .service)
  }

  /// There is no room: the exchange holds nothing and waits, where it waited before or as the last.
  func waitInLine(
    _ index: Int32,
    _ service: UnsafePointer<CompiledService>,
    _ caps: CapSettings,
    _ stop: ExchangeCaps.Stop = .service
  ) {
    let exchange = exchanges[index]
    if exchange.pointee.flags.contains(.isHedged) { return fail(index, .connectionLimit) }
    if exchange.pointee.health.isWatched { settleHealth(exchange) }
    giveBackRoom(exchange)
    // As if the attempt had not begun.
    exchange.pointee.attempts -= 1
    exchange.pointee.endpoint = exchange.pointee.previousEndpoint
    if exchange.pointee.flags.contains(.hasRepeated) { exchange.pointee.flags.insert(.wantsFresh) }
    exchange.pointee.admission.isLearned = false
    exchange.pointee.caps.stop = stop
    guard !exchange.pointee.caps.isWaiting else { return }
    let place = service.pointee.place
    let isFirst = waitLines.first(of: place) < 0
    if isFirst { shared.caps.publish(reactor.now, of: place, worker: number) }
    guard shared.caps.enter(place, below: caps.pending) else {
      if isFirst { shared.caps.publish(.never, of: place, worker: number) }
      shared.caps.refused(place, .full)
      return fail(index, .pendingFull)
    }
    if isFirst { capTurns.lines.insert(place) }
    waitLines.append(index, to: place)
    exchange.pointee.caps.line = place
    exchange.pointee.caps.since = reactor.now
    setAttemptDeadline(exchange, reactor.now + service.pointee.connectTimeout)
    // What was given back before this one was counted is found by another look.
    capTurns.touch(place)
  }

  private func leaveLine(_ index: Int32) {
    let exchange = exchanges[index]
    let place = exchange.pointee.caps.line
    let waited = reactor.now - exchange.pointee.caps.since
    exchange.pointee.caps.waited = exchange.pointee.caps.waited + waited
    let wasFirst = waitLines.first(of: place) == index
    waitLines.remove(index, from: place)
    exchange.pointee.caps.line = -1
    if wasFirst {
      let first = waitLines.first(of: place)
      let since = first >= 0 ? exchanges[first].pointee.caps.since : .never
      if first < 0 { capTurns.lines.remove(place) }
      shared.caps.publish(since, of: place, worker: number)
    }
    shared.caps.leave(place)
  }

  /// The time in line is up.
  func lineTimedOut(_ index: Int32, isOverall: Bool) {
    meter.timedOut(isOverall ? .request : .pending)
    shared.caps.refused(exchanges[index].pointee.caps.line, .late)
    fail(index, isOverall ? .upstreamTimeout : .pendingTimeout)
  }

  // MARK: - Turns

  /// How soon the next turn has to come; `nil` when nobody waits.
  var capsWait: Nanoseconds? {
    if !capTurns.isEmpty { return .zero }
    return waitLines.count > 0 ? CapTurns.tick : nil
  }

  /// Takes up what other workers gave back.
  func readRoomBells() { mailbox.takeRoomBells { capTurns.touch($0) } }

  /// Lets those in line try again for whom there may be room.
  func serveCaps() {
    forgetFull()
    let isTick = waitLines.count > 0 && reactor.now >= capTurns.nextTick
    if isTick {
      capTurns.nextTick = reactor.now + CapTurns.tick
      for service in capTurns.lines { capTurns.touch(service) }
    }
    guard !capTurns.isEmpty else { return }
    capTurns.begin()
    for place in capTurns.serving.indices { serveLine(capTurns.serving[place], isTick: isTick) }
    forgetFull()
  }

  private func forgetFull() {
    guard !capTurns.full.isEmpty else { return }
    for place in capTurns.full { endpoints[Int(place)].isFull = false }
    capTurns.full.removeAll(keepingCapacity: true)
  }

  /// Lets the first ones in line try, until one finds no room.
  ///
  /// `isTick`: Though another worker has one that waits for longer, and may be stuck.
  private func serveLine(_ service: Int32, isTick: Bool) {
    // The last one that finds no room where it may go, while others may go elsewhere.
    var stopped: Int32 = -1
    var age: UInt32 = 0
    var looks = 0
    while true {
      // Whatever ended it meanwhile gave room back: another look is due anyway.
      if stopped >= 0, exchanges.generation(stopped) != age { return }
      let index = stopped < 0 ? waitLines.first(of: service) : waitLines.next(behind: stopped)
      if let first = shared.caps.first(service), first.worker != number, !isTick || index < 0,
        index < 0 || first.since < exchanges[index].pointee.caps.since
      {
        return mailboxes[first.worker].ringRoom(service)
      }
      guard index >= 0 else { return }
      let exchange = exchanges[index]
      if stopped >= 0, goesWhere(exchange, exchanges[stopped]) {
        looks += 1
        guard looks < CapTurns.mostLooks else { return }
        (stopped, age) = (index, exchanges.generation(index))
        continue
      }
      let generation = exchanges.generation(index)
      exchange.pointee.caps.stop = .none
      if reactor.pool.isUnique(exchange.pointee.requestBlock) {
        let bytes = reactor.pool.bytes(exchange.pointee.requestBlock)
        DemandFields.refresh(bytes, exchange, now: reactor.now)
      }
      attempt(index)
      guard exchanges.generation(index) == generation else { continue }
      if exchange.pointee.caps.isWaiting {
        switch exchange.pointee.caps.stop {
        case .service: return
        case .own:
          (stopped, age) = (index, generation)
          continue
        case .none: leaveLine(index)
        }
      }
      pumpIfWaiting(index)
    }
  }

  /// Whether two requests of a service that wait have the same endpoints, and want the same of them:
  /// routes may name a port of their own, and an upgrade may need a connection where others need none.
  private func goesWhere(
    _ one: UnsafeMutablePointer<Exchange>,
    _ other: UnsafeMutablePointer<Exchange>
  ) -> Bool {
    one.pointee.service == other.pointee.service && one.pointee.snapshot == other.pointee.snapshot
      && one.pointee.flags.contains(.wantsUpgrade) == other.pointee.flags.contains(.wantsUpgrade)
  }
}
