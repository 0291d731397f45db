import Glibc
internal import Synchronization
public import Telemetry
internal import Units

/// Serves the admin port on a thread of its own.
///
/// One poll loop over non-blocking sockets: a slow client holds one of few places for a bounded
/// time and nobody's thread. It takes no lock that a worker takes, so it answers to the last.
public final class AdminServer: Sendable {
  /// Most connections at once; when all are taken the longest idle one makes room.
  public static let maximumConnections = 64

  /// The port it listens on; 0 for a Unix socket.
  public let port: UInt16
  private let listener: Int32
  private let endpoints: AdminEndpoints
  private let doorbell = Doorbell()
  private let mustStop = Atomic<Bool>(false)
  private let isListening = Atomic<Bool>(true)
  private let thread = Locked<BackgroundThread?>(nil)

  /// Binds `address`, such as `127.0.0.1:9901`; port 0 takes a free one.
  public convenience init(
    address: String,
    endpoints: AdminEndpoints
  ) throws(TelemetryError) {
    self.init(listener: try AdminSocket.listen(address), endpoints: endpoints)
  }

  /// Takes a socket that listens already, and owns it from now on; answers nobody before `start`.
  public init(listener: Int32, endpoints: AdminEndpoints) {
    self.listener = listener
    self.endpoints = endpoints
    port = AdminSocket.port(of: listener)
    _ = fcntl(listener, F_SETFL, fcntl(listener, F_GETFL, 0) | O_NONBLOCK)
  }

  deinit { closeListener() }

  /// Starts the thread; apart from binding, because privileges go between the two.
  public func start() throws(TelemetryError) {
    guard let started = BackgroundThread(name: "admin", run: { [self] in run() }) else {
      throw TelemetryError(.cannotStartThread, "no room for the admin server's thread")
    }
    thread.withLock { $0 = started }
  }

  /// Closes every connection, ends the thread where there is one, and listens no more.
  public func stop() {
    mustStop.store(true, ordering: .releasing)
    doorbell.wake()
    thread.withLock { $0 }?.join()
    closeListener()
  }

  private func closeListener() {
    let wasOpen = isListening.exchange(false, ordering: .acquiringAndReleasing)
    if wasOpen { close(listener) }
  }

  private func run() {
    var connections: [AdminConnection] = []
    var acceptsAgainAt: Int64 = 0
    while !mustStop.load(ordering: .acquiring) {
      var now = Self.milliseconds()
      var entries = [pollfd(fd: doorbell.descriptor, events: Int16(POLLIN), revents: 0)]
      let hasRoom =
        connections.count < Self.maximumConnections || connections.contains(where: \.isIdle)
      // A negative descriptor is not polled.
      let listening = hasRoom && now >= acceptsAgainAt
      entries.append(pollfd(fd: listening ? listener : -1, events: Int16(POLLIN), revents: 0))
      for connection in connections {
        entries.append(pollfd(fd: connection.descriptor, events: connection.events, revents: 0))
      }
      let next = min(connections.map(\.deadline).min() ?? .max, listening ? .max : now + 1_000)
      let wait = next == .max ? -1 : Int32(max(0, min(next - now, 60_000)))
      _ = poll(&entries, nfds_t(entries.count), wait)
      now = Self.milliseconds()
      if entries[0].revents != 0 { doorbell.answer() }

      var kept: [AdminConnection] = []
      for (index, connection) in connections.enumerated() {
        var connection = connection
        let isReady = entries[index + 2].revents != 0
        let goesOn = isReady ? connection.advance(endpoints, now: now) : true
        if goesOn, now < connection.deadline {
          kept.append(connection)
        } else {
          close(connection.descriptor)
        }
      }
      connections = kept
      if entries[1].revents != 0, !accept(into: &connections, now: now) {
        // Out of descriptors: the listener stays readable, so polling it would spin.
        acceptsAgainAt = now + 100
      }
    }
    for connection in connections { close(connection.descriptor) }
  }

  /// Takes one connection, in place of the longest idle one when all places are taken.
  private func accept(into connections: inout [AdminConnection], now: Int64) -> Bool {
    if connections.count >= Self.maximumConnections {
      let idle = connections.indices.filter { connections[$0].isIdle }
      guard let oldest = idle.min(by: { connections[$0].deadline < connections[$1].deadline })
      else { return true }
      close(connections[oldest].descriptor)
      connections.remove(at: oldest)
    }
    let descriptor = Glibc.accept(listener, nil, nil)
    guard descriptor >= 0 else {
      return ![EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno)
    }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    connections.append(AdminConnection(descriptor: descriptor, now: now))
    return true
  }

  private static func milliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
  }
}
