internal import CLinux
internal import Glibc
internal import HTTPCodec
public import LoadKit
public import Reactor
import Synchronization
internal import Units

/// A simulated service on real sockets: one thread, HTTP/1.1 and HTTP/2 by prior knowledge, and a
/// control API beside it.
///
/// The queueing is `ServiceModel`; here are the bytes. One thread runs `run`; any may call `stop`.
public final class Backend: @unchecked Sendable {
  // Safe to share: other threads reach `stop`, which uses the atomic and the bell, and the ports,
  // which never change.

  /// Where a backend listens.
  public struct Options: Sendable {
    /// An IP address.
    public var host = "127.0.0.1"
    /// 0 for any free port.
    public var port: UInt16 = 0
    public var controlPort: UInt16 = 0
    public var backend = Reactor.Backend.epoll
    /// Connections at once; more wait in the kernel's queue.
    public var connections = 32_768

    public init() {}
  }

  enum OwnerKind {
    static let connection: UInt8 = 1
    static let service: UInt8 = 2
    static let control: UInt8 = 3
  }

  static let limits = HeadLimits()

  public let port: UInt16
  public let controlPort: UInt16
  let reactor: Reactor
  let host: String
  var model: ServiceModel
  var faults: ServiceSettings.Faults
  var faultDraw: SplitMix64
  var connections: Slab<BackendConnection>
  var pending: Slab<PendingBlock>
  var counters: BackendCounters
  let fields: UnsafeMutablePointer<HeadField>
  /// How late finished requests were seen.
  let lag = Histogram()
  var isAlive = true
  /// When it listened again.
  var returned = Instant(-1_000_000_000)
  /// Why the service could not listen again, for the control API.
  var trouble = ""
  private let stopping = Atomic(false)
  private let bell: Bell
  private var service: ListeningPort?
  private var serviceWatch: Int32 = -1
  private let control: ListeningPort
  let answers: BackendAnswers
  let workspace: H2Workspace
  /// The request of each stream of the workspace, or -1.
  let childOfStream: UnsafeMutablePointer<Int32>
  /// Sessions with something to say, linked through them.
  var firstDirty: Int32 = -1
  let sessionScratch: UnsafeMutablePointer<UInt8>

  /// Binds both ports and listens; call on the thread that will run it when the ring is used.
  public init(_ settings: ServiceSettings, _ options: Options) throws {
    var bounds = Reactor.Bounds()
    bounds.sockets = options.connections + 64
    bounds.blocks = min(32_768, max(2_048, options.connections + 1_024))
    reactor = try Reactor(backend: options.backend, bounds: bounds)
    bell = reactor.bell
    host = options.host
    model = ServiceModel(settings, jobs: options.connections)
    faults = settings.faults
    faultDraw = SplitMix64(seed: settings.seed ^ 0xFA17)
    connections = Slab(capacity: options.connections)
    pending = Slab(capacity: bounds.blocks)
    counters = BackendCounters(routes: settings.routes.count)
    fields = .allocate(capacity: Self.limits.maximumFields)
    answers = try BackendAnswers(settings, pool: reactor.pool)
    // Streams that are closed stay in the table until the turn's end.
    workspace = H2Workspace(streams: 2 * options.connections)
    childOfStream = .allocate(capacity: 2 * options.connections)
    childOfStream.initialize(repeating: -1, count: 2 * options.connections)
    sessionScratch = .allocate(capacity: BlockPool.blockSize)
    let service = try ListeningPort(host: options.host, port: options.port)
    self.service = service
    port = service.port
    do {
      control = try ListeningPort(host: options.host, port: options.controlPort)
    } catch {
      service.close()
      throw error
    }
    controlPort = control.port
    serviceWatch = reactor.listen(
      service.descriptor,
      owner: Owner(kind: OwnerKind.service, index: 0, generation: 0)
    )
    _ = reactor.listen(
      control.descriptor,
      owner: Owner(kind: OwnerKind.control, index: 0, generation: 0)
    )
  }

  deinit {
    service?.close()
    control.close()
    fields.deallocate()
    sessionScratch.deallocate()
    childOfStream.deallocate()
  }

  /// Serves until `stop`.
  public func run() {
    ThreadPriority.preferred(serve)
  }

  private func serve() {
    _ = clinux_exact_timers()
    while !stopping.load(ordering: .acquiring) {
      let next = model.nextFinish
      let now = Instant(clinux_monotonic_now())
      reactor.turn(limit: next == .never ? nil : max(.zero, next - now))
      finishWork()
      while true {
        let event = reactor.next()
        guard event.kind != .none else { break }
        handle(event)
      }
      finishWork()
      flushSessions()
    }
    for index in 0..<Int32(connections.capacity) where connections.generation(index) & 1 == 1 {
      // Nobody else would give sessions back; sockets go with the reactor.
      connections[index].pointee.http2?.release()
      connections[index].pointee.http2 = nil
    }
    reactor.settle()
  }

  /// Ends `run` soon; from any thread.
  public func stop() {
    stopping.store(true, ordering: .releasing)
    bell.ring()
  }

  // MARK: - Listening

  /// Refuses connections and drops those there are, as a process that died.
  func kill() {
    guard isAlive else { return }
    isAlive = false
    reactor.unwatch(serviceWatch)
    service?.close()
    service = nil
    for job in model.kill() where connections[job].pointee.state == .gone {
      connections.release(job)
    }
    for index in 0..<Int32(connections.capacity) where connections.generation(index) & 1 == 1 {
      guard !connections[index].pointee.isControl, connections[index].pointee.session < 0 else {
        continue
      }
      endChildren(of: index) { self.counters.reset += $0 == .inside ? 1 : 0 }
      if connections[index].pointee.state == .inside { counters.reset += 1 }
      close(index, reset: true)
    }
  }

  /// Listens again, at full strength.
  func recover() {
    model.scale(time: 1, workers: 1, at: reactor.now)
    faults = model.settings.faults
    guard !isAlive else { return }
    do {
      let service = try ListeningPort(host: host, port: port)
      self.service = service
      serviceWatch = reactor.listen(
        service.descriptor,
        owner: Owner(kind: OwnerKind.service, index: 0, generation: 0)
      )
      isAlive = true
      returned = reactor.now
      counters.firstSecond = 0
      trouble = ""
    } catch {
      trouble = error.description
    }
  }

  // MARK: - Events

  private func handle(_ event: Event) {
    switch event.kind {
    case .accepted: accept(event.value, isControl: event.owner.kind == OwnerKind.control)
    case .received: received(event.owner.index, block: event.block, count: Int(event.value))
    case .endOfStream, .failed: clientLeft(event.owner.index)
    case .drained:
      if connections[event.owner.index].pointee.http2 == nil {
        close(event.owner.index, reset: false)
      } else {
        markDirty(event.owner.index)
      }
    case .timer: sendPiece(event.owner.index)
    case .none, .connected, .ready, .mailbox: break
    }
  }

  private func accept(_ descriptor: Int32, isControl: Bool) {
    let index = connections.allocate()
    guard index >= 0 else {
      Glibc.close(descriptor)
      return
    }
    connections[index].initialize(to: BackendConnection())
    connections[index].pointee.isControl = isControl
    let owner = Owner(
      kind: OwnerKind.connection,
      index: index,
      generation: connections.generation(index)
    )
    let socket = reactor.adopt(descriptor, owner: owner)
    guard socket >= 0 else {
      connections.release(index)
      return
    }
    connections[index].pointee.socket = socket
    if !isControl { counters.connections += 1 }
  }

  func clientLeft(_ index: Int32) {
    let connection = connections[index]
    if connection.pointee.http2 != nil {
      // Each request is one that its client left.
      endChildren(of: index) { _ in }
      return close(index, reset: false)
    }
    if connection.pointee.state == .inside {
      counters.abandoned += 1
      guard model.abandon(job: index, at: reactor.now) else {
        closeSocket(connection, reset: false)
        connection.pointee.state = .gone
        return
      }
    }
    close(index, reset: false)
  }

  /// Frees an entry and all it holds.
  func close(_ index: Int32, reset: Bool) {
    if connections[index].pointee.session >= 0 { resetStream(index) }
    closeSocket(connections[index], reset: reset)
    connections.release(index)
  }

  private func closeSocket(_ connection: UnsafeMutablePointer<BackendConnection>, reset: Bool) {
    if connection.pointee.socket >= 0 { reactor.close(connection.pointee.socket, reset: reset) }
    connection.pointee.socket = -1
    if connection.pointee.block >= 0 { reactor.pool.release(connection.pointee.block) }
    connection.pointee.block = -1
    while let next = takePending(connection) { reactor.pool.release(next.block) }
    if connection.pointee.timer >= 0 { reactor.timers.release(connection.pointee.timer) }
    connection.pointee.timer = -1
    connection.pointee.http2?.release()
    connection.pointee.http2 = nil
  }

  // MARK: - Work

  /// A whole request is there.
  func submit(_ index: Int32) {
    let connection = connections[index]
    let now = reactor.now
    counters.received += 1
    if now - returned < .seconds(1) { counters.firstSecond += 1 }
    if faultDraw.chance(faults.drop) {
      counters.dropped += 1
      return close(index, reset: false)
    }
    if faultDraw.chance(faults.hang) {
      counters.hung += 1
      connection.pointee.state = .hanging
      return
    }
    connection.pointee.state = .inside
    if faultDraw.chance(faults.unavailable) {
      counters.refused += 1
      return answer(index, .refused)
    }
    if model.arrive(job: index, route: connection.pointee.route, at: now) == .refused {
      counters.refused += 1
      answer(index, .refused)
    }
  }

  private func finishWork() {
    guard model.nextFinish != .never else { return }
    let now = Instant(clinux_monotonic_now())
    while let end = model.takeFinished(at: now) {
      lag.record((now - end.at).rawValue)
      finish(end.job)
    }
  }

  private func finish(_ index: Int32) {
    let connection = connections[index]
    guard connection.pointee.state == .inside else {
      counters.wasted += 1
      connections.release(index)
      return
    }
    if faultDraw.chance(faults.reset) {
      counters.reset += 1
      close(index, reset: true)
    } else if faultDraw.chance(faults.error) {
      counters.failed += 1
      answer(index, .failed)
    } else {
      counters.served += 1
      let route = Int(connection.pointee.route)
      counters.servedByRoute[route >= 0 ? route : counters.servedByRoute.count - 1] += 1
      if faultDraw.chance(faults.slowBody) {
        beginPieces(index)
      } else {
        answer(index, .served)
      }
    }
  }
}
