internal import Configuration
internal import Units
internal import Upstream

/// What breakers, ejections and orders come to, for metrics, `/admin/services` and `spillway explain`;
/// and the way in for orders.
///
/// The slow plane's view of `HealthTable`: it reads and orders through the same atomics as workers.
final class HealthReport: Sendable {
  struct Endpoint: Sendable {
    let name: String
    /// Keeps the place its own while it can be asked about here.
    let lease: EndpointDirectory.Lease
    let traits: EndpointTraits
  }

  struct Service: Sendable {
    let name: String
    let place: Int32
    let breaker: BreakerSettings?
    let outlier: OutlierSettings?
    let checks: CheckSettings?
    let balance: String
    /// What its reports of load are used for.
    let reports: LoadReportSettings?
    /// The edge's own zone, and by how much its endpoints there are believed to have room.
    let zone: String?
    let zonePreference: Double?
    let caps: CapSettings?
    let maximumConnections: Int32
    let endpoints: [Endpoint]
  }

  /// Series of the state of endpoints; those beyond are not shown as metrics.
  static let mostEndpoints = 1_000

  /// Keeps what the other two are views of.
  private let shared: SharedState
  let health: HealthTable
  let caps: CapTable
  let services = Locked<[Service]>([])

  init(_ shared: SharedState) {
    self.shared = shared
    health = shared.health
    caps = shared.caps
  }

  /// A configuration took effect.
  func adopt(_ services: [Service]) { self.services.withLock { $0 = services } }

  /// The monotonic time, as reactors know it.
  var now: Instant { EdgeInstance.now }

  func state(_ breaker: SharedBreaker, _ settings: BreakerSettings) -> BreakerState {
    breaker.word.visibleState(at: now, settings)
  }

  func find(_ name: String) -> Service? {
    services.withLock { $0 }.first { $0.name == name }
  }

  // MARK: - Orders

  enum OrderFault: Error, Equatable {
    case unknownService
    case unknownEndpoint
    case noBreaker
  }

  /// Orders a breaker open or closed, or lets it decide again.
  ///
  /// `endpoint`: An address, or `nil` for the service's own breaker.
  ///
  /// - Throws: `OrderFault` where there is no such breaker.
  func order(_ order: BreakerOrder, service: String, endpoint: String?) throws(OrderFault) {
    guard let known = find(service) else { throw .unknownService }
    guard known.breaker != nil else { throw .noBreaker }
    if let endpoint {
      guard let place = known.endpoints.first(where: { $0.name == endpoint })?.lease.place else {
        throw .unknownEndpoint
      }
      health.breaker(place).order(order)
    } else {
      health.breaker(ofService: known.place).order(order)
    }
    health.service(known.place).noteChange()
  }

  /// Keeps new requests from an endpoint, or lets them go there again; those under way go on.
  ///
  /// - Throws: `OrderFault` where there is no such endpoint.
  func drain(_ isDrained: Bool, service: String, endpoint: String) throws(OrderFault) {
    guard let known = find(service) else { throw .unknownService }
    guard let found = known.endpoints.first(where: { $0.name == endpoint }) else {
      throw .unknownEndpoint
    }
    health.record(found.lease.place).drain(isDrained)
    health.service(known.place).noteChange()
  }
}
