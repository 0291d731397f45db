internal import CLinux
internal import Glibc
internal import Reactor
internal import TLS
internal import Units
internal import Upstream

/// What the slow plane tells the worker: new snapshots, listeners, the stages of a shutdown.
extension Worker {
  func readMail() {
    readNames()
    readWishes()
    readAdmissionBells()
    readRoomBells()
    let post = mailbox.takePost()
    if let sockets = post.sockets { giveBack(deferred?.sockets, unless: sockets) }
    if let snapshot = post.snapshot {
      adopt(snapshot, post.sockets ?? deferred?.sockets)
      giveBack(post.superseded, unless: post.sockets ?? [])
    } else if let deferred {
      adopt(deferred.snapshot, deferred.sockets)
    }
    // Behind the snapshot: it may be what made their service known.
    readCalls()
    let stage = mailbox.stage
    defer { mailbox.reportSeen(stage) }
    switch stage {
    case .serving: break
    case .draining: beginDraining()
    case .closing:
      beginDraining()
      beginClosing()
    case .stopped: isStopping = true
    }
  }

  private func adopt(_ snapshot: Snapshot, _ sockets: [WorkerSocket]?) {
    guard snapshots.adopt(snapshot) else {
      // Every slot is held by some long request: keep serving the old, try again soon.
      deferred = (snapshot, sockets)
      meter.snapshotDeferred()
      meter.isBehind(true)
      return scheduleHousekeeping(at: reactor.now + Self.housekeepingInterval)
    }
    deferred = nil
    meter.isBehind(false)
    adoptEndpoints(snapshot)
    adoptChecks(snapshot)
    for slot in snapshot.admissions { admissions.adopt(slot, worker: number, seed: random.next()) }
    admissions.locate(in: snapshot)
    for settings in snapshot.listeners {
      if let index = listener(at: settings.place) {
        listeners[index].settings = settings
      } else {
        listeners.append(WorkerListener(settings: settings, shared: shared))
      }
    }
    if let sockets { adoptListeners(sockets) }
    adoptCalls(snapshot)
    adoptOverload(snapshot.overload)
    meter.adopted(snapshot)
    scheduleHousekeeping(at: reactor.now + Self.housekeepingInterval)
  }

  /// Starts endpoints that are new afresh, and closes the pools of those that are gone.
  private func adoptEndpoints(_ snapshot: Snapshot) {
    // Who was away and is back begins anew with its fellows.
    for index in 0..<snapshot.placeCount where !knownPlaces.isEmpty {
      let state = endpoints + Int(snapshot.places[index])
      if state.pointee.hasLeft { state.pointee.joinedAt = reactor.now }
    }
    for place in knownPlaces { endpoints[Int(place)].hasLeft = true }
    let before = knownPlaces
    knownPlaces = []
    for index in 0..<snapshot.placeCount {
      let place = snapshot.places[index]
      knownPlaces.append(place)
      let state = endpoints + Int(place)
      if state.pointee.epoch != snapshot.epoch(at: index) {
        closeIdle(place)
        upstreamSessions.forget(Int(place))
        state.pointee = EndpointState()
        state.pointee.epoch = snapshot.epoch(at: index)
        if !before.isEmpty { state.pointee.joinedAt = reactor.now }
      }
      state.pointee.hasLeft = false
      state.pointee.policy = -1
    }
    for (service, range) in snapshot.serviceRanges where service.policy >= 0 {
      for index in range {
        let state = endpoints + Int(snapshot.places[index])
        state.pointee.policy = service.policy
        state.pointee.service = service.place
      }
    }
    for place in before where endpoints[Int(place)].hasLeft { closeIdle(place) }
  }

  private func isClientSession(_ index: Int32) -> Bool {
    sessions.generation(index) & 1 == 1
      && !sessions[index].pointee.flags.contains(.isUpstream)
  }

  private func listener(at place: Int) -> Int? {
    listeners.firstIndex { $0.settings.place == place }
  }

  /// Accepts from exactly these sockets, each for the listener that it belongs to now: reloads move
  /// listeners to other addresses, swap them and rename them.
  private func adoptListeners(_ sockets: [WorkerSocket]) {
    for index in acceptors.indices
    where acceptors[index].watch >= 0
      && !sockets.contains(where: { $0.descriptor == acceptors[index].descriptor })
    {
      stopAccepting(index)
    }
    giveBack(unopened, unless: sockets)
    unopened = []
    open(sockets)
  }

  /// Ends sockets that were taken for this worker but replaced before it accepted from them.
  ///
  /// Who connected to one meanwhile is served, as by any that goes.
  private func giveBack(_ sockets: [WorkerSocket]?, unless wanted: [WorkerSocket]) {
    for socket in (sockets ?? []).without(wanted)
    where !acceptors.contains(where: { $0.descriptor == socket.descriptor }) {
      if let listener = listener(at: socket.place) {
        startAccepting(socket, for: Int32(listener))
      }
      if let index = acceptors.firstIndex(where: { $0.descriptor == socket.descriptor }) {
        stopAccepting(index)
      } else {
        unopened.removeAll { $0.descriptor == socket.descriptor }
        shared.sockets.release(descriptor: socket.descriptor)
      }
    }
  }

  private func open(_ sockets: [WorkerSocket]) {
    for socket in sockets {
      guard !isClosingIdle, let listener = listener(at: socket.place) else { continue }
      let known = acceptors.firstIndex { $0.descriptor == socket.descriptor && $0.watch >= 0 }
      if let known {
        acceptors[known].listener = Int32(listener)
      } else {
        startAccepting(socket, for: Int32(listener))
      }
    }
  }

  /// Replies end their connections from now on, and sessions are told to go.
  private func beginDraining() {
    guard !isDraining else { return }
    isDraining = true
    for index in 0..<Int32(sessions.capacity) where isClientSession(index) {
      leave(index)
    }
  }

  private func startAccepting(_ socket: WorkerSocket, for listener: Int32) {
    // The entry of a socket that was given back, with its timer, or a new one.
    let free = acceptors.firstIndex { $0.descriptor < 0 }
    let index = free ?? acceptors.count
    let timer =
      free.map { acceptors[$0].timer }
      ?? reactor.timers.allocate(for: owner(.listenerTimer, Int32(index), 0))
    let watch =
      timer < 0
      ? -1 : reactor.listen(socket.descriptor, owner: owner(.listener, Int32(index), 0))
    guard watch >= 0 else {
      if free == nil, timer >= 0 { reactor.timers.release(timer) }
      // Its clients wait in the queue until something is free.
      meter.acceptFailed()
      unopened.append(socket)
      return
    }
    let acceptor = Acceptor(
      descriptor: socket.descriptor,
      listener: listener,
      watch: watch,
      timer: timer
    )
    if let free { acceptors[free] = acceptor } else { acceptors.append(acceptor) }
  }

  /// The grace time is over: no new connections, no idle ones.
  private func beginClosing() {
    guard !isClosingIdle else { return }
    isClosingIdle = true
    for index in acceptors.indices { stopAccepting(index) }
    reportClosed()
    for index in 0..<Int32(sessions.capacity) where isClientSession(index) {
      turnAway(index)
    }
    for index in 0..<Int32(connections.capacity) where connections.generation(index) & 1 == 1 {
      let phase = connections[index].pointee.phase
      guard phase == .idle || phase == .prelude else { continue }
      if connections[index].pointee.requests > 0 {
        closeWhenSent(index, lingering: false)
      } else {
        // It may have come this moment and be about to speak.
        let end = reactor.now + Self.firstWord
        if connections[index].pointee.deadline > end { setDeadline(connections[index], end) }
      }
    }
  }

  /// How long a client that has said nothing yet may still begin while we close.
  static let firstWord = Nanoseconds.milliseconds(500)
  static let housekeepingInterval = Nanoseconds.milliseconds(100)

  /// Frees snapshots that nobody uses, on another thread: they can be large.
  func housekeep() {
    shared.graveyard.bury(snapshots.takeRetired())
    if deferred != nil { readMail() }
    if !unopened.isEmpty {
      let sockets = unopened
      unopened = []
      open(sockets)
    }
    if snapshots.holdsOld || deferred != nil || !unopened.isEmpty {
      scheduleHousekeeping(at: reactor.now + Self.housekeepingInterval)
    }
  }

  /// Closes listening sockets that this worker was to have and never came to.
  private func giveBackUnread() {
    let post = mailbox.takePost()
    let unread = unopened + (deferred?.sockets ?? []) + (post.sockets ?? []) + post.superseded
    for socket in unread { shared.sockets.release(descriptor: socket.descriptor) }
  }

  /// The end: whatever is open is closed.
  func closeEverything() {
    for index in acceptors.indices { stopAccepting(index) }
    for acceptor in acceptors where acceptor.descriptor >= 0 {
      shared.sockets.release(descriptor: acceptor.descriptor)
    }
    giveBackUnread()
    refuseCalls()
    for index in 0..<Int32(connections.capacity) where connections.generation(index) & 1 == 1 {
      abandon(index, reset: false, asClient: false)
    }
    for index in 0..<Int32(sessions.capacity) where sessions.generation(index) & 1 == 1 {
      closeSession(index, reset: false)
    }
    for index in 0..<Int32(upstreams.capacity) where upstreams.generation(index) & 1 == 1 {
      if upstreams[index].pointee.phase == .idle { idleBroken(index) }
    }
    closeChecks()
    closeAdmissions()
    shared.graveyard.bury(snapshots.takeRetired())
  }
}
