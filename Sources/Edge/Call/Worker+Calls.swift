internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Units

/// The edge's own calls: connections that the slow plane hands over, in place of accepting them.
///
/// Such a connection carries one request. Where that leads, the call says and not its bytes; the rest
/// is an exchange like any, of the highest class, which is shed last.
extension Worker {
  /// How long a probe of a breaker waits for the head of an answer that may begin whenever it likes.
  private static let probePatience = Nanoseconds.seconds(1)

  /// Takes what the slow plane handed over, once there is a configuration.
  func readCalls() {
    guard callListener >= 0 else { return }
    for call in mailbox.takeCalls() { take(call) }
  }

  /// Nobody serves calls any more: those that nobody took are closed.
  func refuseCalls() {
    for call in mailbox.takeCalls(isLast: true) {
      close(call.descriptor)
      shared.returnClient(SharedState.callPlace)
    }
  }

  private func take(_ call: WorkerCall) {
    call.ticket.take()
    let index = connections.allocate()
    let generation = index >= 0 ? connections.generation(index) : 0
    let timer =
      index < 0 ? -1 : reactor.timers.allocate(for: owner(.connectionTimer, index, generation))
    var transport: Transport?
    if timer >= 0 {
      transport = adoptPlain(call.descriptor, owner(.connection, index, generation))
    } else {
      close(call.descriptor)
    }
    guard let transport else {
      call.ticket.end(.reply(.buffersExhausted))
      if timer >= 0 { reactor.timers.release(timer) }
      if index >= 0 { connections.release(index) }
      return shared.returnClient(SharedState.callPlace)
    }
    var flags: Connection.Flags = [.isInternal, .peerIsUnix, .isTrusted]
    if call.isEndless { flags.insert(.isEndless) }
    calls[index] = call
    enter(
      index,
      transport,
      timer,
      listener: callListener,
      .idle,
      flags,
      IPBytes(high: 0, low: 0),
      port: 0
    )
  }

  /// Serves the request of a call: its path goes out as it is, and its route is that of its service.
  func beginCall(_ index: Int32, _ given: RequestView) {
    var view = given
    view.path = view.bytes + Int(view.head.pathStart)
    view.pathLength = Int(view.head.pathLength)
    let route = calls[index].map { snapshots.newest.calls.route(to: $0.service) } ?? -1
    guard route >= 0 else { return answer(index, view, .noRoute, route: -1) }
    serve(index, view, route)
  }

  /// Tells the thread of a call why the edge ends it, where the connection carries one.
  func tellCall(_ connection: Int32, _ reason: ReplyReason) {
    guard connections[connection].pointee.flags.contains(.isInternal) else { return }
    calls[connection]?.ticket.end(.reply(reason))
  }

  /// An answer that may begin whenever it likes is waited for: it holds up no probe meanwhile.
  ///
  /// - Returns: How long it may be silent.
  func waitForEndless(_ exchange: UnsafeMutablePointer<Exchange>) -> Nanoseconds {
    if exchange.pointee.health.isWatched {
      exchange.pointee.admission.pacedUntil = reactor.now + Self.probePatience
      armTimer(exchange)
    }
    return limits(connections[exchange.pointee.connection]).upgradeIdle
  }

  // MARK: - Another configuration

  /// Another configuration is the newest: calls of services that it has not end, those that wait go
  /// over to it.
  func adoptCalls(_ snapshot: Snapshot) {
    if callListener < 0, let settings = snapshot.calls.listener {
      callListener = Int32(listeners.count)
      listeners.append(WorkerListener(settings: settings, shared: shared))
    }
    for (index, call) in calls {
      let route = snapshot.calls.route(to: call.service)
      if route < 0 { endCall(index) } else { move(index, to: snapshot, route) }
    }
  }

  private func endCall(_ index: Int32) {
    let exchange = connections[index].pointee.exchange
    // One that has not begun finds no route when it does.
    guard exchange >= 0 else { return }
    if exchanges[exchange].pointee.status == 0 {
      exchanges[exchange].pointee.status = ReplyReason.noRoute.wording.status
    }
    abandon(index, asClient: false, reason: .noRoute)
  }

  /// Lets a call go over to another snapshot while it waits for an answer that may take minutes: each
  /// would else hold one of its own, and those are bounded.
  private func move(_ index: Int32, to snapshot: Snapshot, _ route: Int32) {
    let exchange = connections[index].pointee.exchange
    guard exchange >= 0 else { return }
    let entry = exchanges[exchange]
    let service = snapshot.route(route).pointee.service
    guard entry.pointee.flags.contains(.isEndless), entry.pointee.phase == .waiting,
      entry.pointee.snapshot >= 0, entry.pointee.endpoint >= 0,
      snapshot.hasEndpoint(entry.pointee.endpoint, in: snapshot.service(service))
    else { return }
    // Its breaker may have other rules there.
    settleHealth(entry)
    let before = entry.pointee.snapshot
    entry.pointee.snapshot = snapshots.use()
    entry.pointee.route = route
    entry.pointee.service = service
    snapshots.release(before)
  }
}
