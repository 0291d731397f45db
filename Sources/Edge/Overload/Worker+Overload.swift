internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units

/// Stage 5: what this worker refuses and slows down while the process itself is overloaded.
///
/// Nothing dear is done before: a request is refused once its route and class are known, a handshake
/// once the ClientHello is there, a connection before it is accepted.
extension Worker {
  /// Requests under way; tunnels and streams that last, which hold no snapshot, are not.
  @inline(__always)
  var requestsInFlight: Int { exchanges.count &- ledgers.count }

  /// Connections of clients, of either protocol.
  var clientConnections: Int {
    connections.count - streamConnections - calls.count + sessions.count - serviceSessionCount
  }

  /// Another configuration took effect.
  func adoptOverload(_ settings: EdgePressure.Settings) {
    overload.pressure.adopt(settings)
    overload.setGathering(
      blocks: reactor.pool.capacity,
      inFlight: settings.inFlight,
      workers: mailboxes.count
    )
    lookAtPressure()
  }

  /// A turn begins: how long the one before was is how long events had to wait.
  @inline(__always)
  func notePressure() {
    let began = overload.turnBegan
    overload.turnBegan = reactor.now
    if began != Instant(.min) {
      let busy = reactor.waitStarted - began
      if busy > overload.longestTurn { overload.longestTurn = busy }
    }
    if reactor.now >= overload.nextLook { lookAtPressure() }
  }

  /// Tells other workers what this one has.
  @inline(__always)
  func publishLoad() { shared.load.publish(number, ownLoad) }

  private var ownLoad: EdgePressure.Reading {
    var reading = EdgePressure.Reading()
    reading.inFlight = requestsInFlight
    reading.descriptors = reactor.socketCount
    reading.connections = clientConnections
    reading.buffers = reactor.blocksInUse
    reading.mostBuffers = reactor.blocksInUse + reactor.blocksFree
    return reading
  }

  func lookAtPressure() {
    defer { overload.setWait() }
    let own = ownLoad
    shared.load.publish(number, own)
    var reading = shared.load.reading
    reading.loopDelay = overload.longestTurn
    (reading.buffers, reading.mostBuffers) = (own.buffers, own.mostBuffers)
    let wasNarrow = overload.pressure.narrowsStreams
    overload.pressure.read(reading, at: reactor.now)
    overload.setMarks(inFlight: requestsInFlight, workers: mailboxes.count)
    shared.load.publish(number, overload.pressure)
    let isNarrow = overload.pressure.narrowsStreams
    if isNarrow != wasNarrow {
      overload.isWidening = !isNarrow
      overload.nextSession = 0
    }
    // A second look in the same turn says no more of the loop, and may come amid other sessions.
    guard reactor.now >= overload.nextLook else { return }
    overload.longestTurn = .zero
    overload.nextLook = reactor.now + WorkerOverload.interval
    if overload.isWidening { widenSessions() }
    // Else one peak of traffic would keep a small machine short of memory for ever.
    if overload.pressure[.memory] > WorkerOverload.shortOfMemory {
      reactor.pool.giveBack(
        sparing: WorkerOverload.spareBlocks,
        atMost: WorkerOverload.blocksGivenBack
      )
    }
  }

  // MARK: - Requests

  /// Refuses a request of a service where its class is shed.
  ///
  /// - Returns: Whether it is answered.
  func shedsForOverload(
    _ index: Int32,
    _ view: RequestView,
    _ demand: RequestDemand,
    route: Int32,
    _ compiled: UnsafePointer<CompiledRoute>,
    _ service: UnsafePointer<CompiledService>
  ) -> Bool {
    if requestsInFlight >= overload.countMark { lookAtPressure() }
    guard overload.pressure.sheds(PriorityClass(demand.priority)) else { return false }
    meter.edgeShed(overload.pressure.leading)
    let refusal = Refusal(reason: .edgeOverload, retryAfter: WorkerOverload.retryAfter)
    if service.pointee.admission >= 0 {
      var place = AdmissionPlace()
      place.priority = demand.priority
      place.slot = service.pointee.admission
      place.route = compiled.pointee.admissionRoute
      note(refusal, place)
    }
    answer(
      index,
      view,
      .shedEdgeOverload,
      route: route,
      priority: Int(demand.priority),
      retryAfter: refusal.retryAfter
    )
    return true
  }

  // MARK: - Connections

  /// After a connection was accepted: the next has to wait where accepting is slowed.
  func paceAccepting(_ index: Int) {
    let pause = overload.acceptPause
    guard pause > .zero, acceptors[index].watch >= 0 else { return }
    meter.acceptPaused()
    reactor.pauseAccepting(acceptors[index].watch)
    reactor.timers.set(acceptors[index].timer, at: reactor.now + pause)
  }

  // MARK: - Streams

  /// Tells a client of HTTP/2 how many streams it may have, where that has changed.
  ///
  /// A smaller number is told when the client says something, as an idle one does no harm.
  func fitStreams(_ session: UnsafeMutablePointer<Session>, _ http2: H2Session) {
    let isNarrow = overload.pressure.narrowsStreams
    guard session.pointee.phase == .open, http2.isAcknowledged,
      isNarrow != session.pointee.flags.contains(.isNarrowed)
    else { return }
    let most = listeners[Int(session.pointee.listener)].settings.http2.maximumStreams
    http2.allowStreams(isNarrow ? max(1, most / Self.narrowing) : most)
    session.pointee.settingsAt = reactor.now
    if isNarrow {
      session.pointee.flags.insert(.isNarrowed)
      meter.streamsNarrowed()
    } else {
      session.pointee.flags.remove(.isNarrowed)
    }
  }

  /// By how much a client's streams are divided: what it can make of one turn is that much less.
  private static let narrowing = 4

  /// Gives clients their streams back, some at a time: those that wait for one may say nothing.
  private func widenSessions() {
    var asked: Int32 = 0
    var told = 0
    while asked < WorkerOverload.sessionsAsked, told < WorkerOverload.sessionsTold {
      guard overload.nextSession < sessions.capacity else {
        overload.isWidening = false
        return
      }
      let index = overload.nextSession
      overload.nextSession += 1
      asked += 1
      guard sessions.generation(index) & 1 == 1,
        sessions[index].pointee.flags.contains(.isNarrowed)
      else { continue }
      fitStreams(sessions[index], sessions[index].pointee.http2.takeUnretainedValue())
      makeDirty(index, sessions[index])
      told += 1
    }
  }
}
