internal import Admission
internal import CLinux
internal import Configuration
internal import Glibc
internal import Reactor
internal import Routing
internal import Telemetry
internal import Units

/// A listener as one worker has it: settings and counts, by name, whatever socket serves it.
///
/// Connections name it for as long as they live, so an entry stays when its sockets are gone; there
/// are at most `SharedState.maximumListeners`.
struct WorkerListener {
  var settings: ListenerSettings
  var limits: ListenerLimits { settings.limits }
  var pathPolicy: PathPolicy { settings.pathPolicy }
  var metrics: ConnectionMetrics { settings.metrics }
  let shared: SharedState

  /// A client's transport is gone.
  func clientLeft(_ flags: Connection.Flags, _ peer: IPBytes) {
    // Where it was counted, whatever a reload has said of the listener since.
    let isCommon = flags.contains(.sharesMaximum)
    shared.returnClient(isCommon ? SharedState.commonPlace : settings.place)
    guard flags.contains(.isCounted) else { return }
    shared.returnAddress(peer)
  }
}

/// A listening socket of one worker.
struct Acceptor {
  var descriptor: Int32
  /// The listener whose rules apply to what comes; a reload may make it another one.
  var listener: Int32
  /// The reactor's watch, or -1 when nothing is accepted.
  var watch: Int32
  var timer: Int32
  /// Rounds that are left until nothing more can come from a socket that has ended.
  var roundsToSettle = 0
}

/// New connections: who may come, how many, for how long.
extension Worker {
  func handleListener(_ index: Int, _ event: Event) {
    switch event.kind {
    case .accepted:
      accept(index, event.value)
      paceAccepting(index)
    case .failed:
      // Out of descriptors or memory: try again when something may have been freed.
      meter.acceptFailed()
      reactor.pauseAccepting(acceptors[index].watch)
      reactor.timers.set(acceptors[index].timer, at: reactor.now + .milliseconds(100))
    default: break
    }
  }

  func resumeListener(_ index: Int) {
    guard acceptors[index].watch >= 0 else { return settle(index) }
    guard overload.pressure.acceptShare > 0 else {
      let next = reactor.now + WorkerOverload.acceptRetry
      return reactor.timers.set(acceptors[index].timer, at: next)
    }
    reactor.resumeAccepting(acceptors[index].watch)
  }

  /// Ends a listener without losing a client.
  ///
  /// io_uring waits for connections exclusively: a wake-up that reached the operation just before
  /// its cancel is lost for every other process that accepts from this socket, and the client
  /// would wait in the queue until the next one comes. So the queue is emptied again after the
  /// cancel, some rounds long, before the socket is given back.
  func stopAccepting(_ index: Int) {
    guard acceptors[index].watch >= 0 else { return }
    reactor.unwatch(acceptors[index].watch)
    acceptors[index].watch = -1
    acceptors[index].roundsToSettle = Self.roundsToSettle
    settle(index)
  }

  private static let roundsToSettle = 4
  private static let settlingRound = Nanoseconds.milliseconds(5)

  private func settle(_ index: Int) {
    guard acceptors[index].roundsToSettle > 0 else { return }
    drainAcceptQueue(index)
    acceptors[index].roundsToSettle -= 1
    guard acceptors[index].roundsToSettle == 0 else {
      reactor.timers.set(acceptors[index].timer, at: reactor.now + Self.settlingRound)
      return
    }
    // At once after the last look: while the socket is open the kernel goes on taking connections
    // that would wait for nobody, and a client that is refused can go elsewhere.
    shared.sockets.release(descriptor: acceptors[index].descriptor)
    acceptors[index].descriptor = -1
    if isClosingIdle { reportClosed() }
  }

  /// Tells the server once that nothing more will be accepted.
  func reportClosed() {
    guard acceptors.allSatisfy({ $0.watch < 0 && $0.roundsToSettle == 0 }) else { return }
    mailbox.reportClosed()
  }

  /// Accepts what the kernel has completed already: closing the socket would reset it.
  private func drainAcceptQueue(_ index: Int) {
    for _ in 0..<ListeningSocket.defaultBacklog {
      let descriptor = clinux_accept(acceptors[index].descriptor)
      guard descriptor >= 0 else { return }
      accept(index, Int32(descriptor))
    }
  }

  func accept(_ index: Int, _ descriptor: Int32) {
    let place = acceptors[index].listener
    let listener = listeners[Int(place)].settings
    guard let peer = KernelAddress(peerOf: descriptor) else {
      close(descriptor)
      return
    }
    let address = peer.ip
    let isTrusted = peer.isUnix || listener.trusts(address)
    // Who the client is, a balancer's prelude says: it is judged when that has come.
    let awaitsPrelude = isTrusted && listener.proxyProtocol != .off
    let isCounted = !peer.isUnix && !awaitsPrelude
    guard isTrusted || listener.proxyProtocol != .required else {
      return refuseConnection(descriptor, .untrusted)
    }
    guard !isCounted || listener.admits(address) else {
      return refuseConnection(descriptor, .denied)
    }
    guard shared.reserveClient(listener.countPlace, listener.maximumConnections) else {
      return refuseConnection(descriptor, .total)
    }
    guard !isCounted || shared.reserveAddress(address, listener.perAddress) else {
      shared.returnClient(listener.countPlace)
      return refuseConnection(descriptor, .perAddress)
    }
    let connection = connections.allocate()
    let generation = connection >= 0 ? connections.generation(connection) : 0
    let timer =
      connection < 0
      ? -1 : reactor.timers.allocate(for: owner(.connectionTimer, connection, generation))
    let transport: Transport?
    if timer < 0 {
      close(descriptor)
      transport = nil
    } else {
      let owner = owner(.connection, connection, generation)
      transport =
        listener.tls == nil || awaitsPrelude
        ? adoptPlain(descriptor, owner) : adoptSecure(descriptor, owner, listener: place)
    }
    guard let transport else {
      if timer >= 0 { reactor.timers.release(timer) }
      if connection >= 0 { connections.release(connection) }
      shared.returnClient(listener.countPlace)
      if isCounted { shared.returnAddress(address) }
      meter.acceptFailed()
      return
    }
    var flags: Connection.Flags = []
    if peer.isUnix { flags.insert(.peerIsUnix) }
    if isCounted { flags.insert(.isCounted) }
    if isTrusted { flags.insert(.isTrusted) }
    if listener.sharesMaximum { flags.insert(.sharesMaximum) }
    enter(
      connection,
      transport,
      timer,
      listener: place,
      awaitsPrelude ? .prelude : .idle,
      flags,
      address,
      port: peer.port
    )
  }

  /// Fills a connection's entry, and gives it the time of a head.
  func enter(
    _ connection: Int32,
    _ transport: Transport,
    _ timer: Int32,
    listener place: Int32,
    _ phase: Connection.Phase,
    _ flags: Connection.Flags,
    _ peer: IPBytes,
    port: UInt16
  ) {
    let listener = listeners[Int(place)].settings
    connections[connection].initialize(
      to: Connection(
        transport: transport,
        timer: timer,
        exchange: -1,
        listener: place,
        phase: phase,
        flags: flags,
        peerPort: port,
        requests: 0,
        requestBound: jittered(listener.limits.requestsPerConnection),
        input: Input(),
        discardLeft: 0,
        deadline: .never,
        retiresAt: reactor.now + jittered(listener.limits.maximumAge),
        paceSince: reactor.now,
        paceMark: Connection.unpaced,
        bytesIn: 0,
        bytesOut: 0,
        peer: peer
      )
    )
    // A client that connects and says nothing has the time for a head, not that of keep-alive; a
    // prelude has to come within the same time.
    // While we close, one that comes out of the queue has the time of those that were there.
    let patience = listener.limits.headTimeout
    let time = isClosingIdle ? min(patience, Self.firstWord) : patience
    setDeadline(connections[connection], reactor.now + time)
    meter.connectionOpened(listener.metrics)
  }

  func adoptPlain(_ descriptor: Int32, _ owner: Owner) -> Transport? {
    let socket = reactor.adopt(descriptor, owner: owner)
    return socket >= 0 ? .socket(socket) : nil
  }

  /// Spreads the ends of connections that began, or fell idle, together, so that they do not come
  /// back together: between 80 and 100 % of the time.
  func jittered(_ time: Nanoseconds) -> Nanoseconds {
    Self.jittered(time, by: UInt8(truncatingIfNeeded: random.next() >> 56))
  }

  /// The same by a number that was drawn before, for times that are looked at more than once.
  static func jittered(_ time: Nanoseconds, by draw: UInt8) -> Nanoseconds {
    time - Nanoseconds(time.rawValue / 1_280 * Int64(255 - draw))
  }

  /// Of a bound, at least one and at most all.
  private func jittered(_ requests: Int) -> Int32 {
    let spread = max(1, requests / 5)
    return Int32(clamping: max(1, requests - Int.random(in: 0..<spread, using: &random)))
  }

  private func refuseConnection(_ descriptor: Int32, _ reason: ConnectionRefusal) {
    meter.connectionRefused(reason)
    clinux_reset_on_close(descriptor)
    close(descriptor)
  }
}

/// Why a connection was closed before its first byte, a balancer's prelude aside.
enum ConnectionRefusal: Int, CaseIterable {
  case denied, total, perAddress, untrusted

  var label: String {
    switch self {
    case .denied: "denied"
    case .total: "connections"
    case .perAddress: "connections-per-address"
    case .untrusted: "untrusted-proxy"
    }
  }
}
