internal import Reactor
internal import Telemetry
internal import Units
internal import Upstream

/// What accounting needs of the snapshot that an exchange began with.
struct LedgerEntry: BitwiseCopyable {
  var configVersion: Int
  var route: NameID
  var className: NameID
  var service: NameID
  var endpoint: NameID?

  init(_ exchange: Exchange, in snapshot: Snapshot) {
    let route = snapshot.route(exchange.route)
    let service = snapshot.service(exchange.service)
    configVersion = snapshot.configVersion
    self.route = route.pointee.name
    className = snapshot.classes.id(Int(exchange.admission.priority))
    self.service = service.pointee.name
    endpoint =
      exchange.endpoint >= 0 ? snapshot.endpointName(of: exchange.endpoint, in: service) : nil
  }
}

/// What an exchange without an end in sight keeps of its snapshot, so that the snapshot can go.
///
/// The leases are those of its endpoint: its place and its name must not become another one's while
/// the exchange is counted and will be logged under them.
struct Ledger {
  let entry: LedgerEntry
  let metrics: RouteMetrics
  let place: EndpointDirectory.Lease
  let name: NameTable.Lease
}

extension Worker {
  /// Gives an exchange's snapshot back long before its end: a tunnel or an event stream may last
  /// for days, and some of each configuration would pin all of them.
  ///
  /// No reply of our own may be needed any more, and no other attempt.
  func detach(_ index: Int32) {
    let exchange = exchanges[index]
    guard exchange.pointee.snapshot >= 0 else { return }
    let snapshot = snapshots[exchange.pointee.snapshot]
    let service = snapshot.service(exchange.pointee.service)
    let leases = snapshot.leases(of: exchange.pointee.endpoint, in: service)
    ledgers[index] = Ledger(
      entry: LedgerEntry(exchange.pointee, in: snapshot),
      metrics: snapshot.route(exchange.pointee.route).pointee.metrics,
      place: leases.place,
      name: leases.name
    )
    snapshots.release(exchange.pointee.snapshot)
    exchange.pointee.snapshot = -1
    scheduleHousekeeping(at: reactor.now + Self.housekeepingInterval)
  }

  /// The cells that an exchange's end is counted in.
  func routeMetrics(_ index: Int32) -> RouteMetrics? {
    let exchange = exchanges[index]
    guard exchange.pointee.snapshot >= 0 else { return ledgers[index]?.metrics }
    return snapshots[exchange.pointee.snapshot].route(exchange.pointee.route).pointee.metrics
  }

  func ledgerEntry(_ index: Int32) -> LedgerEntry? {
    let exchange = exchanges[index]
    guard exchange.pointee.snapshot >= 0 else { return ledgers[index]?.entry }
    return LedgerEntry(exchange.pointee, in: snapshots[exchange.pointee.snapshot])
  }

  /// Ends an exchange's use of its snapshot, or of what it kept of it.
  func releaseSnapshot(_ index: Int32) {
    let exchange = exchanges[index]
    if exchange.pointee.snapshot >= 0 {
      snapshots.release(exchange.pointee.snapshot)
    } else {
      ledgers[index] = nil
    }
  }
}
