internal import Glibc
internal import Synchronization
internal import Units

/// What all workers know together of services and endpoints: breakers, ejections, orders,
/// reports of load.
///
/// It is found by the places that `EndpointDirectory` and the directory of services gave, so it
/// outlives configurations. A view of what `HealthMemory` owns, since every attempt looks here and a
/// count of references is an atomic write each time.
public struct HealthTable: BitwiseCopyable, @unchecked Sendable {
  // Safe to share: immutable pointers to atomics.
  fileprivate let endpoints: UnsafeMutablePointer<Atomic<UInt64>>
  fileprivate let services: UnsafeMutablePointer<Atomic<UInt64>>
  fileprivate static let perEndpoint =
    SharedBreaker.cells + EndpointRecord.cells + EndpointLoad.cells
  fileprivate static let perService = SharedBreaker.cells + ServiceCells.cells

  /// The breaker of an endpoint.
  public func breaker(_ place: Int32) -> SharedBreaker {
    SharedBreaker(endpoints + Int(place) * Self.perEndpoint)
  }

  /// What is known of an endpoint beside its breaker.
  public func record(_ place: Int32) -> EndpointRecord {
    EndpointRecord(endpoints + Int(place) * Self.perEndpoint + SharedBreaker.cells)
  }

  /// What an endpoint said of its load.
  public func load(_ place: Int32) -> EndpointLoad {
    let first = Int(place) * Self.perEndpoint + SharedBreaker.cells + EndpointRecord.cells
    return EndpointLoad(endpoints + first)
  }

  /// The breaker of a service.
  public func breaker(ofService place: Int32) -> SharedBreaker {
    SharedBreaker(services + Int(place) * Self.perService)
  }

  /// What is known of a service beside its breaker.
  public func service(_ place: Int32) -> ServiceCells {
    ServiceCells(services + Int(place) * Self.perService + SharedBreaker.cells)
  }

  /// Begins anew where a place is given to another endpoint; slow plane only, and before any worker
  /// hears of that endpoint.
  public func adopt(_ lease: EndpointDirectory.Lease) {
    guard record(lease.place).adopt(epoch: lease.epoch) else { return }
    let first = Int(lease.place) * Self.perEndpoint
    for cell in first..<(first + SharedBreaker.cells) {
      endpoints[cell].store(0, ordering: .relaxed)
    }
    load(lease.place).clear()
  }
}

/// Owns the memory of a `HealthTable`, and lives as long as the process; that of places that nobody
/// uses is never touched.
public final class HealthMemory: Sendable {
  public let table: HealthTable

  /// `count`: Services that the process may ever have had.
  public init(services count: Int) {
    let endpoints = EndpointDirectory.capacity * HealthTable.perEndpoint
    table = HealthTable(
      endpoints: zeroedMemory(Atomic<UInt64>.self, endpoints),
      services: zeroedMemory(Atomic<UInt64>.self, count * HealthTable.perService)
    )
  }

  deinit {
    free(table.endpoints)
    free(table.services)
  }
}
