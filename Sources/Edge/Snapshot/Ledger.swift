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

/// What an exchange without an end in sight keeps of its snapshot and of its request, so that the
/// snapshot and the block of the request's head can go.
///
/// The leases are those of its endpoint: its place and its name must not become another one's while
/// the exchange is counted and will be logged under them.
struct Ledger {
  let entry: LedgerEntry
  let metrics: RouteMetrics
  let place: EndpointDirectory.Lease
  let name: NameTable.Lease
  /// Method, path and id, one behind the other.
  let words: [UInt8]
}

extension Worker {
  /// Gives an exchange's snapshot and the block of its head back long before its end: a tunnel or an
  /// event stream may last for days, some of each configuration would pin all of them, and as many
  /// as there are blocks would leave none.
  ///
  /// No reply of our own may be needed any more, and no other attempt.
  func detach(_ index: Int32) {
    let exchange = exchanges[index]
    guard exchange.pointee.snapshot >= 0 else { return }
    if exchange.pointee.health.isWatched { settleHealth(exchange) }
    let snapshot = snapshots[exchange.pointee.snapshot]
    let service = snapshot.service(exchange.pointee.service)
    let leases = snapshot.leases(of: exchange.pointee.endpoint, in: service)
    ledgers[index] = Ledger(
      entry: LedgerEntry(exchange.pointee, in: snapshot),
      metrics: snapshot.route(exchange.pointee.route).pointee.metrics,
      place: leases.place,
      name: leases.name,
      words: takeWords(exchange)
    )
    snapshots.release(exchange.pointee.snapshot)
    exchange.pointee.snapshot = -1
    scheduleHousekeeping(at: reactor.now + Self.housekeepingInterval)
  }

  /// Takes what the access log needs out of the request's block, and gives that back.
  private func takeWords(_ exchange: UnsafeMutablePointer<Exchange>) -> [UInt8] {
    let block = exchange.pointee.requestBlock
    let method = min(Int(exchange.pointee.methodLength), AccessLogRing.maximumFieldLength)
    let path = min(Int(exchange.pointee.pathLength), AccessLogRing.maximumFieldLength)
    let identifier = Int(exchange.pointee.identifierLength)
    let bytes = UnsafePointer(reactor.pool.bytes(block))
    var words: [UInt8] = []
    words.reserveCapacity(method + path + identifier)
    for (start, count) in [
      (exchange.pointee.methodStart, method), (exchange.pointee.pathStart, path),
      (exchange.pointee.identifierStart, identifier),
    ] {
      words.append(contentsOf: UnsafeBufferPointer(start: bytes + Int(start), count: count))
    }
    reactor.pool.release(block)
    exchange.pointee.requestBlock = -1
    exchange.pointee.requestCount = 0
    exchange.pointee.methodStart = 0
    exchange.pointee.methodLength = UInt16(method)
    exchange.pointee.pathStart = UInt16(method)
    exchange.pointee.pathLength = UInt16(path)
    exchange.pointee.identifierStart = UInt16(method + path)
    // Nothing is repeated once there is a response, and there is nothing to repeat it from.
    exchange.pointee.flags.remove(.canReplay)
    return words
  }

  /// Lends what the access log needs of an exchange's request: the words start where the exchange says.
  @inline(__always)
  func withWords(_ index: Int32, _ body: (UnsafePointer<UInt8>) -> Void) {
    let block = exchanges[index].pointee.requestBlock
    guard block < 0 else { return body(UnsafePointer(reactor.pool.bytes(block))) }
    ledgers[index]?.words.withUnsafeBufferPointer { words in
      if let base = words.baseAddress { body(base) }
    }
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
