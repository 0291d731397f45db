internal import Configuration
internal import Reactor
import Synchronization
internal import Units
internal import Upstream

/// What is one per process and counted by every worker: connections to services, of listeners, and
/// of each client address.
///
/// Reserved before the thing counted is made, so a bound is never passed (DESIGN: caps).
final class SharedState: Sendable {
  /// Idle connections by worker, then service; each cell has one writer.
  private let idle: SharedCells
  private let listeners: SharedCells
  let addresses = Locked(AddressCounts())
  /// Where workers leave snapshots to be freed.
  let graveyard = Graveyard()
  /// Where workers give back listening sockets.
  let sockets: InheritedSockets
  /// Breakers, ejections and orders of services and endpoints.
  let health: HealthTable
  private let healthMemory = HealthMemory(services: ServiceDirectory.capacity)
  /// Connections and requests of services and endpoints, and who waits for one.
  let caps: CapTable
  private let capMemory: CapMemory
  /// What health checks found out, for the log.
  let healthNews = HealthNews()
  /// Priority classes of the process.
  let classes: Int
  /// What presses on this process.
  let load: EdgeLoad
  /// Where the worker that resolves names leaves answers.
  let names = NameBoard()
  /// Name servers in place of the system's, as `host:port`.
  let nameServers: String?

  init(
    sockets: InheritedSockets = InheritedSockets(),
    workers: Int = 1,
    classes: Int = 4,
    nameServers: String? = nil
  ) {
    self.nameServers = nameServers
    self.sockets = sockets
    self.classes = classes
    load = EdgeLoad(workers: workers)
    idle = SharedCells(count: workers * ServiceDirectory.capacity, stride: 1)
    health = healthMemory.table
    capMemory = CapMemory(services: ServiceDirectory.capacity, workers: workers)
    caps = capMemory.table
    listeners = SharedCells(count: Self.maximumListeners + 2)
  }

  /// Listeners that one process may ever have had.
  static let maximumListeners = Settings.maximumListeners
  /// The place of the one count of all listeners that have no maximum of their own.
  static let commonPlace = maximumListeners
  /// The place of the count of the edge's own calls, which no client takes anything of.
  static let callPlace = maximumListeners + 1

  /// Counts a connection into or out of a worker's pools; that worker's thread only.
  func countIdle(_ worker: Int, _ service: Int32, _ change: Int) {
    idle.add(change, at: worker * ServiceDirectory.capacity + Int(service))
  }

  /// Connections to a service that lie idle with a worker.
  func idleConnections(_ worker: Int, _ service: Int32) -> Int {
    idle.read(worker * ServiceDirectory.capacity + Int(service))
  }

  /// Reserves a client connection of a listener, or of those at `commonPlace`.
  func reserveClient(_ place: Int, _ maximum: Int) -> Bool {
    listeners.reserve(place, below: maximum)
  }

  func returnClient(_ place: Int) { listeners.giveBack(place) }

  /// Reserves one of a client's connections; an accept is dear, so a lock is cheap beside it.
  func reserveAddress(_ address: IPBytes, _ maximum: Int) -> Bool {
    addresses.withLock { $0.reserve(address, below: maximum) }
  }

  func returnAddress(_ address: IPBytes) { addresses.withLock { $0.giveBack(address) } }
}

/// Atomic counters that live as long as the process needs them; those that many threads write have a
/// cache line of their own.
private final class SharedCells: @unchecked Sendable {
  // The pointer is immutable and what it points to is atomic, which is what makes it sendable.
  private let cells: UnsafeMutablePointer<Atomic<Int>>
  private let count: Int
  private let stride: Int

  init(count: Int, stride: Int = 8) {
    self.count = count
    self.stride = stride
    cells = .allocate(capacity: count * stride)
    for index in 0..<(count * stride) { (cells + index).initialize(to: Atomic(0)) }
  }

  deinit {
    cells.deinitialize(count: count * stride)
    cells.deallocate()
  }

  func reserve(_ index: Int, below maximum: Int) -> Bool {
    let cell = cells + index * stride
    var seen = cell.pointee.load(ordering: .relaxed)
    while seen < maximum {
      let (isDone, now) = cell.pointee.compareExchange(
        expected: seen,
        desired: seen + 1,
        ordering: .relaxed
      )
      if isDone { return true }
      seen = now
    }
    return false
  }

  func giveBack(_ index: Int) { cells[index * stride].subtract(1, ordering: .relaxed) }

  func read(_ index: Int) -> Int { cells[index * stride].load(ordering: .relaxed) }

  /// For a cell with one writer, which needs no locked instruction.
  func add(_ change: Int, at index: Int) {
    let cell = cells + index * stride
    cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ change, ordering: .relaxed)
  }
}

/// Gives each service name a small number that outlives reloads; slow plane only.
final class ServiceDirectory: Sendable {
  /// Service names that one process may ever have had.
  static let capacity = Settings.maximumServices

  private let places = Locked<[String: Int32]>([:])

  /// The place of a service, or `nil` when the directory is full.
  func place(of name: String) -> Int32? {
    places.withLock { places in
      if let place = places[name] { return place }
      guard places.count < Self.capacity else { return nil }
      let place = Int32(places.count)
      places[name] = place
      return place
    }
  }
}

/// Snapshots that no worker uses any more; the slow plane frees them.
final class Graveyard: Sendable {
  private let snapshots = Locked<[Snapshot]>([])

  func bury(_ retired: [Snapshot]) {
    guard !retired.isEmpty else { return }
    snapshots.withLock { $0 += retired }
  }

  /// Frees what lies here, on the caller's thread.
  func clear() {
    let gone = snapshots.withLock { snapshots in
      defer { snapshots = [] }
      return snapshots
    }
    withExtendedLifetime(gone) {}
  }
}
