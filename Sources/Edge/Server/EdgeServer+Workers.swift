internal import Configuration
internal import Glibc
internal import Reactor
internal import Telemetry
internal import Units

/// Threads, sockets and addresses behind `EdgeServer`.
extension EdgeServer {
  /// The event loop to use: the forced one, or the better one that opens.
  ///
  /// `refusal` is what the kernel says to one, `nil` where it allows it.
  static func chooseBackend(
    _ forced: Reactor.Backend?,
    refusal: (Reactor.Backend) -> ReactorError? = { $0.refusal }
  ) throws(EdgeError) -> Reactor.Backend {
    guard let forced else { return refusal(.ioUring) == nil ? .ioUring : .epoll }
    if let refusal = refusal(forced) {
      throw EdgeError(.resources, "the kernel refuses \(forced.rawValue): \(refusal)")
    }
    return forced
  }

  /// Takes over, keeps or binds one socket for each listener and worker; gives back the others.
  static func takeSockets(
    _ settings: Settings,
    _ workers: Int,
    _ inherited: InheritedSockets,
    _ before: [String: [ListeningSocket]]
  ) throws(EdgeError) -> [String: [ListeningSocket]] {
    var sockets: [String: [ListeningSocket]] = [:]
    var fresh: [ListeningSocket] = []
    for listener in settings.listeners {
      let address = listener.address.description
      let key = ListeningSocket.key(address: address, name: listener.name)
      // By key and not by name: a listener that is only renamed keeps its sockets.
      if let kept = before.values.first(where: { $0.first?.key == key }) {
        sockets[listener.name] = kept
        continue
      }
      for worker in 0..<workers {
        do {
          // Taken away a moment ago, its worker may still be emptying the queue.
          for _ in 0..<settlingMilliseconds where inherited.isTaken(key, worker: worker) {
            usleep(1_000)
          }
          let socket = try inherited.obtain(address, name: listener.name, worker: worker)
          fresh.append(socket)
          sockets[listener.name, default: []].append(socket)
        } catch {
          for socket in fresh { inherited.release(socket) }
          throw EdgeError(.listen, "listener \(listener.name): \(error.description)")
        }
      }
    }
    return sockets
  }

  /// How long a reload waits for a worker to give back a socket: far more than `Worker.settle` takes.
  private static let settlingMilliseconds = 2_000

  /// One worker's sockets.
  static func of(
    _ worker: Int,
    _ sockets: [String: [ListeningSocket]],
    _ snapshot: Snapshot
  ) -> [WorkerSocket] {
    snapshot.listeners.compactMap { listener in
      guard let socket = sockets[listener.name]?.first(where: { $0.worker == worker }) else {
        return nil
      }
      return WorkerSocket(descriptor: socket.descriptor, place: listener.place)
    }
  }

  /// The addresses of an endpoint that is no name.
  static func literal(_ endpoint: ServiceSetting.Endpoint) -> [KernelAddress] {
    switch endpoint {
    case .unix(let path): KernelAddress(unixPath: path).map { [$0] } ?? []
    case .host(let host, let port): KernelAddress(ip: host, port: port).map { [$0] } ?? []
    }
  }

  /// What a worker's thread is started with.
  private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Whether a worker's reactor opened.
  private final class Outcome: Sendable {
    let error = Locked<ReactorError?>(nil)
    let isReady = Locked(false)
  }

  func startWorker(_ number: Int) throws(EdgeError) -> pthread_t {
    let outcome = Outcome()
    let opened = DispatchSignal()
    let start = Start { [self] in
      do {
        let reactor = try Reactor(backend: backend, bounds: options.bounds)
        let worker = makeWorker(number, reactor)
        mailboxes[number].open(reactor.bell)
        heartbeats[number].begin()
        opened.signal()
        worker.run()
        heartbeats[number].end()
      } catch {
        outcome.error.withLock { $0 = error as? ReactorError }
        opened.signal()
      }
    }
    var thread = pthread_t()
    let result = pthread_create(
      &thread,
      nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      },
      Unmanaged.passRetained(start).toOpaque()
    )
    guard result == 0 else {
      throw EdgeError(
        .resources,
        "cannot start a worker thread: \(String(cString: strerror(result)))"
      )
    }
    opened.wait()
    if let error = outcome.error.withLock({ $0 }) {
      pthread_join(thread, nil)
      throw EdgeError(.resources, "a worker cannot open its event loop: \(error)")
    }
    return thread
  }

  private func makeWorker(_ number: Int, _ reactor: Reactor) -> Worker {
    let meter = WorkerMeter(
      shard: registry.shard(number),
      edge: edge,
      more: counters,
      names: ReplyNames(names),
      unrouted: edge.route(""),
      ring: rings.isEmpty ? nil : rings[number],
      heartbeat: heartbeats[number]
    )
    var seed = SystemRandomNumberGenerator()
    return Worker(
      number: number,
      reactor: reactor,
      mailboxes: mailboxes,
      meter: meter,
      shared: shared,
      bounds: options.bounds,
      handshakes: options.handshakes,
      snapshots: options.snapshots,
      seed: seed.next()
    )
  }
}

/// Lets one thread wait for another, once.
private final class DispatchSignal: @unchecked Sendable {
  // The semaphore is made for being shared, which is what makes it sendable.
  private let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    semaphore = .allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func signal() { sem_post(semaphore) }

  func wait() { while sem_wait(semaphore) != 0 {} }
}
