internal import Glibc
internal import Reactor
internal import Units

/// The listening sockets of this process: those it was given and those it binds itself.
///
/// A socket is *held* until a worker obtains it; what nobody obtained is closed after the start.
/// Every socket that a worker closes goes back through `release`, because a sibling may be bound
/// beside it or be a second descriptor of it.
public final class InheritedSockets: Sendable {
  private struct Given {
    var name: String
    var descriptor: Int32
  }

  private struct State {
    /// By key, then worker.
    var held: [String: [Int: Int32]] = [:]
    var taken: [String: [Int: Int32]] = [:]
    /// From systemd: one socket per address, of no worker yet.
    var given: [Given] = []
    /// What arrived from the environment, to tell the parent only news.
    var inherited: [ListeningSocket] = []
  }

  private let state: Locked<State>
  /// What was wrong with the sockets of the environment, for the log.
  public let notes: [String]

  /// A process that was given no sockets.
  public convenience init() {
    self.init(environment: [:], processID: 0)
  }

  /// Takes over the sockets that the environment names.
  ///
  /// - Parameters:
  ///   - environment: Read are `SPILLWAY_SOCKETS`, and `LISTEN_FDS`, `LISTEN_PID`,
  ///     `LISTEN_FDNAMES` of sd_listen_fds(3).
  ///   - processID: Of this process; `LISTEN_PID` must equal it.
  public init(environment: [String: String], processID: Int32) {
    var state = State()
    var notes: [String] = []
    for socket in SocketHandover.decode(environment[SocketHandover.variable] ?? "") {
      if let fault = socket.fault() {
        notes.append("descriptor \(socket.descriptor) for \(socket.key) \(fault): not used")
        continue
      }
      ListeningSocket.setCloseOnExec(socket.descriptor)
      state.held[socket.key, default: [:]][socket.worker] = socket.descriptor
      state.inherited.append(socket)
    }
    for (name, descriptor) in SystemdSockets.descriptors(environment, processID: processID) {
      guard ListeningSocket.flag(SO_ACCEPTCONN, of: descriptor) else {
        notes.append("descriptor \(descriptor) (\(name)) of LISTEN_FDS does not listen: closed")
        close(descriptor)
        continue
      }
      if state.inherited.contains(where: { $0.isSame(as: descriptor) }) {
        // A parent passes both what systemd gave and the copy that its last child handed up.
        close(descriptor)
        continue
      }
      ListeningSocket.setCloseOnExec(descriptor)
      ListeningSocket.setInherited(descriptor)
      state.given.append(Given(name: name, descriptor: descriptor))
    }
    self.state = Locked(state)
    self.notes = notes
  }

  /// The socket of one worker for one listener: inherited if there is one, else newly bound.
  ///
  /// The caller owns the descriptor until it passes the socket to `release`.
  ///
  /// - Parameters:
  ///   - address: As the settings write it.
  ///   - name: The listener's name.
  ///   - worker: From 0.
  ///   - backlog: Waiting connections, for a newly bound one.
  /// - Returns: A listening socket.
  /// - Throws: What an operator should read.
  public func obtain(
    _ address: String,
    name: String,
    worker: Int,
    backlog: Int32 = ListeningSocket.defaultBacklog
  ) throws(ListenError) -> ListeningSocket {
    let key = ListeningSocket.key(address: address, name: name)
    try prepare(key: key, address: address, name: name, worker: worker, backlog: backlog)
    return try state.withLock { state throws(ListenError) in
      guard let descriptor = state.held[key]?.removeValue(forKey: worker) else {
        throw ListenError(.addressTaken, "\(address) is already used by worker \(worker)")
      }
      state.taken[key, default: [:]][worker] = descriptor
      return ListeningSocket(key: key, worker: worker, descriptor: descriptor)
    }
  }

  /// Whether a worker has a socket of this key and has not given it back.
  func isTaken(_ key: String, worker: Int) -> Bool {
    state.withLock { $0.taken[key]?[worker] != nil }
  }

  /// Binds what is missing of a listener ahead of time, as must be done before privileges go.
  public func prepare(
    _ address: String,
    name: String,
    workers: Int,
    backlog: Int32 = ListeningSocket.defaultBacklog
  ) throws(ListenError) {
    let key = ListeningSocket.key(address: address, name: name)
    for worker in 0..<workers {
      try prepare(key: key, address: address, name: name, worker: worker, backlog: backlog)
    }
  }

  private func prepare(
    key: String,
    address: String,
    name: String,
    worker: Int,
    backlog: Int32
  ) throws(ListenError) {
    try state.withLock { state throws(ListenError) in
      if state.held[key]?[worker] != nil || state.taken[key]?[worker] != nil { return }
      let sibling = state.held[key]?.values.first ?? state.taken[key]?.values.first
      if let sibling {
        state.held[key, default: [:]][worker] =
          try Self.bindBeside(sibling, address: address, backlog: backlog)
      } else if let at = Self.match(state.given, address: address, name: name) {
        state.held[key, default: [:]][worker] = state.given.remove(at: at).descriptor
      } else {
        state.held[key, default: [:]][worker] =
          try ListeningSocket.bind(address, backlog: backlog)
      }
    }
  }

  /// Another worker's socket for an address that this process already holds.
  private static func bindBeside(
    _ sibling: Int32,
    address: String,
    backlog: Int32
  ) throws(ListenError) -> Int32 {
    guard let bound = KernelAddress(localOf: sibling), !bound.isUnix,
      ListeningSocket.flag(SO_REUSEPORT, of: sibling)
    else {
      // A UNIX path, or a socket of systemd without ReusePort=: the workers share its queue.
      guard let copy = ListeningSocket.duplicate(sibling) else {
        throw ListenError(.outOfDescriptors, "cannot listen on \(address): out of descriptors")
      }
      return copy
    }
    return try ListeningSocket.bind(bound.description, backlog: backlog, isFirst: false)
  }

  private static func match(_ given: [Given], address: String, name: String) -> Int? {
    if let byName = given.firstIndex(where: { $0.name == name }) { return byName }
    guard let wanted = KernelAddress(listenText: address)?.description else { return nil }
    return given.firstIndex { KernelAddress(localOf: $0.descriptor)?.description == wanted }
  }

  /// Closes a socket that a worker no longer accepts from.
  public func release(_ socket: ListeningSocket) {
    state.withLock { state in
      guard state.taken[socket.key]?[socket.worker] == socket.descriptor else { return }
      state.taken[socket.key]?[socket.worker] = nil
      if state.taken[socket.key]?.isEmpty == true { state.taken[socket.key] = nil }
      close(socket.descriptor)
    }
  }

  /// Closes a socket by its descriptor, for a worker that knows no more of it.
  func release(descriptor: Int32) {
    if let socket = taken.first(where: { $0.descriptor == descriptor }) { release(socket) }
  }

  /// Closes what was inherited and nobody obtained: listeners that the settings no longer have.
  ///
  /// - Returns: What was closed; the descriptors are no longer valid.
  public func closeUnclaimed() -> [ListeningSocket] {
    state.withLock { state in
      var closed: [ListeningSocket] = []
      for (key, workers) in state.held {
        for (worker, descriptor) in workers {
          closed.append(ListeningSocket(key: key, worker: worker, descriptor: descriptor))
        }
      }
      for given in state.given {
        let key = KernelAddress(localOf: given.descriptor)?.description ?? given.name
        closed.append(ListeningSocket(key: key, worker: 0, descriptor: given.descriptor))
      }
      for socket in closed { close(socket.descriptor) }
      state.held = [:]
      state.given = []
      return closed
    }
  }

  /// Every socket that a worker has obtained and not released.
  public var taken: [ListeningSocket] {
    state.withLock { state in
      state.taken.flatMap { key, workers in
        workers.map { ListeningSocket(key: key, worker: $0.key, descriptor: $0.value) }
      }
    }
  }

  /// The sockets that came with `SPILLWAY_SOCKETS`, whatever became of them since.
  public var inherited: [ListeningSocket] { state.withLock { $0.inherited } }

  /// Descriptors that systemd gave and nobody obtained yet, with their names.
  public var given: [(name: String, descriptor: Int32)] {
    state.withLock { state in state.given.map { ($0.name, $0.descriptor) } }
  }
}
