internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// Stage 15: what an exchange came to, in the metrics and in the access log.
extension Worker {
  /// Accounts for an exchange that is about to end.
  ///
  /// `reason`: Why the edge answered by itself, or `nil` for the service's response.
  func account(_ index: Int32, reason: ReplyReason? = nil) {
    let exchange = exchanges[index]
    let duration = reactor.now - exchange.pointee.started
    if let reason { tellCall(exchange.pointee.connection, reason) }
    meter.finished(
      routeMetrics(index) ?? meter.unrouted,
      method: exchange.pointee.method,
      status: exchange.pointee.status,
      duration: duration
    )
    // What failed attempts and the waits between them took is neither the edge's time nor this one's.
    if exchange.pointee.headAt != .never, exchange.pointee.retries == 0,
      !exchange.pointee.flags.contains(.wasHedged)
    {
      let upstream = exchange.pointee.headAt - exchange.pointee.attemptStarted
      let total = exchange.pointee.headAt - exchange.pointee.started
      meter.added(total - upstream)
    }
    guard meter.wantsLog(status: exchange.pointee.status, using: &random),
      let entry = ledgerEntry(index)
    else { return }
    var record = newRecord(
      exchange.pointee.connection,
      entry.configVersion,
      exchange.pointee.status,
      reason
    )
    record.latency = duration.rawValue
    if exchange.pointee.flags.contains(.isHTTP10) { record.wire = .http10 }
    record.deadline =
      exchange.pointee.deadline == .never
      ? -1 : (exchange.pointee.deadline - exchange.pointee.started).rawValue
    record.route = entry.route
    record.priorityClass = entry.className
    record.queued = queueTime(exchange)
    record.upstream = entry.service
    if let endpoint = entry.endpoint { record.endpoint = endpoint }
    record.attempts = exchange.pointee.attempts
    record.isHedged = exchange.pointee.flags.contains(.wasHedged)
    if let cause = exchange.pointee.fallback { record.fallback = meter.names.reason(cause) }
    record.bytesIn = UInt64(exchange.pointee.bytesIn)
    record.bytesOut = UInt64(exchange.pointee.bytesOut)
    withWords(index) { words in
      meter.log(
        record,
        method: (words + Int(exchange.pointee.methodStart), Int(exchange.pointee.methodLength)),
        path: (words + Int(exchange.pointee.pathStart), Int(exchange.pointee.pathLength)),
        identifier: (
          words + Int(exchange.pointee.identifierStart), Int(exchange.pointee.identifierLength)
        ),
        trace: exchange.pointee.trace,
        client: clientIdentity(connections[exchange.pointee.connection].pointee.transport)
      )
    }
  }

  /// Nanoseconds that an exchange waited for its turn, negative when it did not.
  private func queueTime(_ exchange: UnsafeMutablePointer<Exchange>) -> Int64 {
    let place = exchange.pointee.admission
    // In shadow it went out at once, whatever would have been; one that waits still is given up.
    if place.isShadow { return -1 }
    let isQueued = place.isWaiting && place.state != .gathering
    return isQueued ? (reactor.now - place.since).rawValue : place.waited.rawValue
  }

  /// Accounts for a request that was answered without an exchange.
  ///
  /// `bytesOut`: Bytes of the reply's body.
  func accountReply(
    _ index: Int32,
    _ view: RequestView,
    _ status: UInt16,
    _ reason: ReplyReason?,
    _ route: Int32,
    priority: Int,
    fallback: ReplyReason?,
    bytesOut: Int
  ) {
    let snapshot = snapshots.newest
    let compiled = route >= 0 ? snapshot.route(route) : nil
    if let reason { tellCall(index, reason) }
    meter.finished(
      compiled?.pointee.metrics ?? meter.unrouted,
      method: view.head.method,
      status: status,
      duration: .zero
    )
    guard meter.wantsLog(status: status, using: &random) else { return }
    var record = newRecord(index, snapshot.configVersion, status, reason)
    if view.head.minorVersion == 0, record.wire == .http11 { record.wire = .http10 }
    record.bytesOut = UInt64(bytesOut)
    if let fallback { record.fallback = meter.names.reason(fallback) }
    if let compiled {
      record.route = compiled.pointee.name
      record.priorityClass =
        priority < 0 ? compiled.pointee.className : snapshot.classes.id(priority)
    }
    meter.log(
      record,
      method: (view.bytes + Int(view.head.methodStart), Int(view.head.methodLength)),
      path: (view.path, view.pathLength),
      identifier: (view.identifier, view.identifierLength),
      trace: view.trace,
      client: clientIdentity(connections[index].pointee.transport)
    )
  }

  /// Accounts for bytes that were no request.
  ///
  /// `bytesOut`: Bytes of the reply's body.
  func accountBroken(_ index: Int32, _ status: UInt16, _ reason: ReplyReason, bytesOut: Int) {
    let connection = connections[index]
    // A head that took its time has a deadline from which its beginning is known.
    let isHead = connection.pointee.phase == .head && connection.pointee.deadline != .never
    let left = isHead ? connection.pointee.deadline - reactor.now : .zero
    let duration = isHead ? max(.zero, limits(connection).headTimeout - left) : .zero
    tellCall(index, reason)
    meter.finished(meter.unrouted, method: .other, status: status, duration: duration)
    guard meter.wantsLog(status: status, using: &random) else { return }
    var record = newRecord(index, snapshots.newest.configVersion, status, reason)
    record.latency = duration.rawValue
    record.bytesOut = UInt64(bytesOut)
    meter.log(
      record,
      method: (UnsafePointer(identifier), 0),
      path: (UnsafePointer(identifier), 0),
      identifier: (UnsafePointer(identifier), 32),
      trace: .none,
      client: clientIdentity(connection.pointee.transport)
    )
  }

  /// A log record with what every line has.
  private func newRecord(
    _ index: Int32,
    _ configVersion: Int,
    _ status: UInt16,
    _ reason: ReplyReason?
  ) -> AccessRecord {
    date.refresh(at: reactor.now)
    let connection = connections[index]
    var record = AccessRecord()
    record.time = reactor.now.rawValue + date.wallOffset
    record.configVersion = UInt64(configVersion)
    record.status = status
    if connection.pointee.transport.isStream { record.wire = .http2 }
    record.listener = listeners[Int(connection.pointee.listener)].settings.nameID
    if let reason {
      record.error = meter.names.reason(reason)
      if reason.isShed { record.shedReason = record.error }
    }
    if !connection.pointee.flags.contains(.peerIsUnix) {
      record.client = ClientAddress(connection.pointee.peer)
    }
    return record
  }

  /// Ends an exchange whose response broke off after its head was passed on.
  ///
  /// What was queued is still sent; the missing length or last chunk shows that it is not all. A
  /// body that ends with the connection has no other end, so there it is a reset that shows it.
  ///
  /// `reason`: Why, for the log; the client has its status already.
  func truncate(_ index: Int32, _ reason: ReplyReason) {
    let exchange = exchanges[index]
    let connection = exchange.pointee.connection
    meter.truncated()
    releaseUpstream(index, reusable: false)
    if exchange.pointee.responseFraming == .untilClose
      || connections[connection].pointee.transport.isStream
    {
      connections[connection].pointee.flags.insert(.resets)
    }
    account(index, reason: reason)
    endExchange(index)
    closeWhenSent(connection, lingering: false)
  }

  /// Ends an exchange whose client is gone, or whose response cannot be completed.
  ///
  /// `reset`: Whether the client gets RST: it must not take what it has for everything.
  /// `asClient`: Whether the client left; logs then say 499.
  /// `reason`: What logs say otherwise.
  func abandon(
    _ connection: Int32,
    reset: Bool = false,
    asClient: Bool = true,
    reason: ReplyReason? = nil
  ) {
    let entry = connections[connection]
    let index = entry.pointee.exchange
    if index >= 0 {
      let exchange = exchanges[index]
      if exchange.pointee.flags.contains(.isHedged) { leaveHedge(index) }
      if asClient {
        meter.clientAborted()
        exchange.pointee.status = 499
      }
      releaseUpstream(index, reusable: false)
      account(index, reason: reason)
      endExchange(index)
      entry.pointee.exchange = -1
    }
    closeConnection(connection, reset: reset)
  }
}

extension ClientAddress {
  /// A peer's address, which carries IPv4 in the mapped form.
  init(_ peer: IPBytes) {
    self.init()
    family = peer.isIPv4 ? .ipv4 : .ipv6
    high = peer.isIPv4 ? peer.low << 32 : peer.high
    low = peer.isIPv4 ? 0 : peer.low
  }
}
