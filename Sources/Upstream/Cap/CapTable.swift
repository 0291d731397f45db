internal import Glibc
internal import Synchronization
public import Units

/// What all workers count together against hard caps: connections, requests and who waits, of
/// services and of endpoints.
///
/// Reserved before the thing counted is made, so a cap is never passed. It is found by places, so it
/// outlives configurations. A view of what `CapMemory` owns, as `HealthTable` is.
///
/// No wake-up is lost: whoever waits is counted first and then looks once more, whoever gives back
/// looks for those who wait behind it, and both in one order for all (sequentially consistent).
public struct CapTable: BitwiseCopyable, @unchecked Sendable {
  // Safe to share: immutable pointers to atomics.
  fileprivate let services: UnsafeMutablePointer<Atomic<Int>>
  fileprivate let endpoints: UnsafeMutablePointer<Atomic<Int>>
  /// Since when the first of each worker waits, by service, then worker; 0 for nobody.
  fileprivate let oldest: UnsafeMutablePointer<Atomic<Int64>>
  fileprivate let workers: Int

  /// A cache line each: all workers write to it.
  fileprivate static let stride = 8
  private enum Cell: Int {
    case connections, requests, waiting, waits, full, late
  }

  /// Why a request that had no room was refused.
  public enum Refusal: Int, Sendable, CaseIterable {
    /// As many waited as may.
    case full
    /// It waited as long as a connect may take.
    case late
  }

  private func cell(_ service: Int32, _ cell: Cell) -> UnsafeMutablePointer<Atomic<Int>> {
    services + (Int(service) * Self.stride + cell.rawValue)
  }

  private func cell(endpoint: Int32, _ cell: Cell) -> UnsafeMutablePointer<Atomic<Int>> {
    endpoints + (Int(endpoint) * Self.stride + cell.rawValue)
  }

  private func reserve(_ cell: UnsafeMutablePointer<Atomic<Int>>, below most: Int32) -> Bool {
    var seen = cell.pointee.load(ordering: .sequentiallyConsistent)
    while seen < Int(most) {
      let (isDone, now) = cell.pointee.compareExchange(
        expected: seen,
        desired: seen + 1,
        ordering: .sequentiallyConsistent
      )
      if isDone { return true }
      seen = now
    }
    return false
  }

  private func giveBack(_ cell: UnsafeMutablePointer<Atomic<Int>>) {
    cell.pointee.subtract(1, ordering: .sequentiallyConsistent)
  }

  // MARK: - Connections

  /// Reserves a connection to an endpoint of a service, unless either has as many as it may.
  public func reserveConnection(
    _ service: Int32,
    _ endpoint: Int32,
    below most: Int32,
    each: Int32
  ) -> Room {
    guard reserve(cell(service, .connections), below: most) else { return .serviceFull }
    guard reserve(cell(endpoint: endpoint, .connections), below: each) else {
      giveBack(cell(service, .connections))
      return .endpointFull
    }
    return .reserved
  }

  public enum Room: Sendable {
    case reserved
    case serviceFull
    case endpointFull
  }

  public func returnConnection(_ service: Int32, _ endpoint: Int32) {
    giveBack(cell(endpoint: endpoint, .connections))
    giveBack(cell(service, .connections))
  }

  public func connections(_ service: Int32) -> Int {
    cell(service, .connections).pointee.load(ordering: .relaxed)
  }

  public func connections(endpoint: Int32) -> Int {
    cell(endpoint: endpoint, .connections).pointee.load(ordering: .relaxed)
  }

  // MARK: - Requests

  /// Reserves an attempt at a service, of which there may be so many.
  public func reserveRequest(_ service: Int32, below most: Int32) -> Bool {
    reserve(cell(service, .requests), below: most)
  }

  public func returnRequest(_ service: Int32) { giveBack(cell(service, .requests)) }

  public func requests(_ service: Int32) -> Int {
    cell(service, .requests).pointee.load(ordering: .sequentiallyConsistent)
  }

  /// Reserves an attempt at an endpoint.
  public func reserveRequest(endpoint: Int32, below most: Int32) -> Bool {
    reserve(cell(endpoint: endpoint, .requests), below: most)
  }

  public func returnRequest(endpoint: Int32) { giveBack(cell(endpoint: endpoint, .requests)) }

  public func requests(endpoint: Int32) -> Int {
    cell(endpoint: endpoint, .requests).pointee.load(ordering: .relaxed)
  }

  // MARK: - Waiting

  /// Requests that wait with any worker.
  public func waiting(_ service: Int32) -> Int {
    cell(service, .waiting).pointee.load(ordering: .sequentiallyConsistent)
  }

  /// Counts a request that begins to wait; the worker has said since when its first one does.
  ///
  /// - Returns: False when as many wait as may.
  public func enter(_ service: Int32, below most: Int32) -> Bool {
    guard reserve(cell(service, .waiting), below: most) else { return false }
    cell(service, .waits).pointee.add(1, ordering: .relaxed)
    return true
  }

  /// It waits no more.
  public func leave(_ service: Int32) { giveBack(cell(service, .waiting)) }

  /// Since when the first one waits with a worker, `.never` for nobody; its own thread only.
  public func publish(_ since: Instant, of service: Int32, worker: Int) {
    oldest[Int(service) * workers + worker].store(
      since == .never ? 0 : max(1, since.rawValue),
      ordering: .sequentiallyConsistent
    )
  }

  /// The worker with which a request waits for longest, and since when; `nil` where nobody waits.
  public func first(_ service: Int32) -> (worker: Int, since: Instant)? {
    var found: (worker: Int, since: Instant)?
    for worker in 0..<workers {
      let since = oldest[Int(service) * workers + worker].load(ordering: .sequentiallyConsistent)
      guard since > 0, since < found?.since.rawValue ?? .max else { continue }
      found = (worker, Instant(since))
    }
    return found
  }

  // MARK: - Counts

  public func refused(_ service: Int32, _ refusal: Refusal) {
    cell(service, refusal == .full ? .full : .late).pointee.add(1, ordering: .relaxed)
  }

  public func refusals(_ service: Int32, _ refusal: Refusal) -> Int {
    cell(service, refusal == .full ? .full : .late).pointee.load(ordering: .relaxed)
  }

  /// Requests that ever waited.
  public func waits(_ service: Int32) -> Int {
    cell(service, .waits).pointee.load(ordering: .relaxed)
  }
}

/// Owns the memory of a `CapTable`, and lives as long as the process; that of places that nobody uses
/// is never touched.
public final class CapMemory: Sendable {
  public let table: CapTable

  /// - Parameters:
  ///   - count: Services that the process may ever have had.
  ///   - workers: Those that share it.
  public init(services count: Int, workers: Int) {
    table = CapTable(
      services: zeroedMemory(Atomic<Int>.self, count * CapTable.stride),
      endpoints: zeroedMemory(Atomic<Int>.self, EndpointDirectory.capacity * CapTable.stride),
      oldest: zeroedMemory(Atomic<Int64>.self, count * workers),
      workers: workers
    )
  }

  deinit {
    free(table.services)
    free(table.endpoints)
    free(table.oldest)
  }
}
