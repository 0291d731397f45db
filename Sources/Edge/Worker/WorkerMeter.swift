internal import Admission
internal import HTTPCodec
internal import Routing
internal import Telemetry
internal import Units

/// What one worker counts, and its way into the access log.
///
/// Each method is a few stores into cells that only this worker writes.
final class WorkerMeter {
  let shard: MetricShard
  let edge: EdgeMetrics
  let more: EdgeCounters
  let names: ReplyNames
  /// Requests that no route was found for.
  let unrouted: RouteMetrics
  let ring: AccessLogRing?
  let heartbeat: WorkerHeartbeat
  private var sampling: SampleTable?
  /// Turns in which a worker was busy this long are counted as delay, in nanoseconds.
  private var lastWoken = Instant(0)
  private var exhaustedBlocks: UInt64 = 0
  private var exhaustedSegments: UInt64 = 0
  private var exhaustedStretches: UInt64 = 0
  /// Room for a trace id as text.
  private let traceText = UnsafeMutablePointer<UInt8>.allocate(capacity: 32)

  init(
    shard: MetricShard,
    edge: EdgeMetrics,
    more: EdgeCounters,
    names: ReplyNames,
    unrouted: RouteMetrics,
    ring: AccessLogRing?,
    heartbeat: WorkerHeartbeat
  ) {
    self.shard = shard
    self.edge = edge
    self.more = more
    self.names = names
    self.unrouted = unrouted
    self.ring = ring
    self.heartbeat = heartbeat
    traceText.initialize(repeating: 0, count: 32)
  }

  deinit { traceText.deallocate() }

  // MARK: - The loop

  /// Notes a turn: how long the worker was busy before it waited is how long events had to wait.
  func turnBegan(at now: Instant, waitedSince: Instant) {
    if lastWoken.rawValue > 0 {
      shard.observe(edge.workerLoopDelay, nanoseconds: (waitedSince - lastWoken).rawValue)
    }
    lastWoken = now
    heartbeat.didWait()
  }

  func set(connections: Int, exchanges: Int, blocks: Int, free: Int, snapshots: Int) {
    shard.set(more.snapshots, Int64(snapshots))
    shard.set(more.clients, Int64(connections))
    shard.set(edge.activeExchanges, Int64(exchanges))
    shard.set(edge.blocksInUse, Int64(blocks))
    shard.set(edge.blocksFree, Int64(free))
    heartbeat.willWait()
  }

  func adopted(_ snapshot: Snapshot) { sampling = snapshot.sampling }
  /// Whether the worker serves an older configuration than it was given.
  func isBehind(_ isBehind: Bool) { shard.set(more.workersBehind, isBehind ? 1 : 0) }
  func snapshotDeferred() { shard.add(more.snapshotsDeferred) }

  /// Takes the totals of what was wanted and not there.
  func exhausted(blocks: UInt64, segments: UInt64, stretches: UInt64) {
    guard
      blocks != exhaustedBlocks || segments != exhaustedSegments
        || stretches != exhaustedStretches
    else { return }
    shard.add(more.exhaustions[0], blocks - exhaustedBlocks)
    shard.add(more.exhaustions[1], segments - exhaustedSegments)
    shard.add(more.exhaustions[2], stretches - exhaustedStretches)
    exhaustedBlocks = blocks
    exhaustedSegments = segments
    exhaustedStretches = stretches
  }

  // MARK: - Connections

  func connectionOpened(_ metrics: ConnectionMetrics) { shard.opened(metrics) }
  func connectionClosed(_ metrics: ConnectionMetrics) { shard.closed(metrics) }
  func connectionRefused(_ reason: ConnectionRefusal) {
    shard.add(more.connectionsRefused[reason.rawValue])
  }
  func acceptFailed() { shard.add(more.acceptFailures) }
  func acceptPaused() { shard.add(more.acceptPauses) }
  func edgeShed(_ kind: EdgePressure.Kind) { shard.add(more.edgeSheds[kind.rawValue]) }
  func streamsNarrowed() { shard.add(more.narrowings) }
  func clientAborted() { shard.add(more.clientAborts) }
  /// Bytes of a client's connection, heads and frames included; below TLS there are some more.
  func receivedDownstream(_ count: Int) { shard.add(edge.downstreamBytesIn, UInt64(count)) }
  func sentDownstream(_ count: Int) { shard.add(edge.downstreamBytesOut, UInt64(count)) }
  func timedOut(_ kind: TimeoutKind) { shard.add(edge.timeouts[Int(kind.rawValue)]) }
  func refused(_ fault: ParseFault) { shard.add(more.parseRefusals[Int(fault.rawValue)]) }
  func refused(_ fault: PathFault) { shard.add(more.pathRefusals[Int(fault.rawValue)]) }
  func replied(_ reason: ReplyReason) { shard.add(more.localReplies[Int(reason.rawValue)]) }

  /// A route stood in for another one.
  func fellBack(_ route: UnsafePointer<CompiledRoute>, _ reason: ReplyReason) {
    guard let place = reason.fallbackPlace else { return }
    shard.add(route.pointee.fallbacks[place])
  }

  // MARK: - Upstream

  func upstreamOpened(_ metrics: ServiceMetrics) {
    shard.opened(metrics.connections)
    shard.add(metrics.poolBusy, 1)
  }
  func upstreamClosed(_ metrics: ServiceMetrics) {
    shard.closed(metrics.connections)
    shard.add(metrics.poolBusy, -1)
  }
  /// A connection stands, or stands no more, on which `spoken` is spoken.
  func upstreamSpeaks(_ spoken: ConnectionMetrics) { shard.opened(spoken) }
  func upstreamFellSilent(_ spoken: ConnectionMetrics) { shard.closed(spoken) }
  func idle(_ metrics: ServiceMetrics, _ change: Int64) {
    shard.add(metrics.poolIdle, change)
    shard.add(metrics.poolBusy, -change)
  }
  func reported(_ counters: CounterRow, _ result: LoadReportResult) {
    shard.add(counters[Int(result.rawValue)])
  }
  func chose(_ zones: CounterRow, isLocal: Bool) {
    shard.add(zones[Int((isLocal ? RequestZone.local : .other).rawValue)])
  }
  func connectFailed(_ metrics: ServiceMetrics) { shard.add(metrics.connectFailures) }
  func staleConnection(_ metrics: ServiceMetrics) { shard.add(more.staleConnections) }
  func unasked(_ metrics: ServiceMetrics) { shard.add(more.unaskedBytes) }
  func repeatedOnFresh() { shard.add(more.repeats) }
  func truncated() { shard.add(more.truncations) }
  func sentUpstream(_ count: Int) { shard.add(edge.upstreamBytesOut, UInt64(count)) }
  func receivedUpstream(_ count: Int) { shard.add(edge.upstreamBytesIn, UInt64(count)) }
  func upstreamAnswered(_ metrics: ServiceMetrics, _ latency: Nanoseconds) {
    shard.observe(metrics.duration, nanoseconds: latency.rawValue)
  }
  func queueWaited(_ metrics: ServiceMetrics, _ wait: Nanoseconds) {
    shard.observe(metrics.queueWait, nanoseconds: wait.rawValue)
  }

  // MARK: - Requests

  func finished(
    _ metrics: RouteMetrics,
    method: Method,
    status: UInt16,
    duration: Nanoseconds
  ) {
    shard.countRequest(route: metrics.requests, method: method.rawValue, status: Int(status))
    shard.observe(metrics.duration, nanoseconds: duration.rawValue)
  }

  func added(_ latency: Nanoseconds) {
    shard.observe(edge.addedLatency, nanoseconds: latency.rawValue)
  }

  // MARK: - Access log

  /// Whether some requests are logged.
  var keepsLog: Bool { ring != nil && sampling != nil }

  func wantsLog(status: UInt16, using random: inout SplitMix64) -> Bool {
    guard ring != nil, let sampling else { return false }
    return sampling.keeps(status: Int(status), using: &random)
  }

  func log(
    _ record: AccessRecord,
    method: (UnsafePointer<UInt8>, Int),
    path: (UnsafePointer<UInt8>, Int),
    identifier: (UnsafePointer<UInt8>, Int),
    trace: TraceID,
    client: ClientIdentity?
  ) {
    guard let ring else { return }
    ring.begin(record)
    // Bytes that were no request have neither.
    if method.1 > 0 { ring.append(.method, method.0, count: method.1) }
    if path.1 > 0 { ring.append(.path, path.0, count: path.1) }
    ring.append(.requestId, identifier.0, count: identifier.1)
    if trace != .none {
      var writer = ByteWriter(traceText, capacity: 32)
      writer.fixedHexadecimal(trace.high)
      writer.fixedHexadecimal(trace.low)
      ring.append(.traceId, traceText, count: 32)
    }
    if let client {
      client.subject.withUnsafeBufferPointer {
        ring.append(.clientSubject, $0.baseAddress, count: $0.count)
      }
      client.names.withUnsafeBufferPointer {
        ring.append(.clientNames, $0.baseAddress, count: $0.count)
      }
    }
    _ = ring.commit()
  }
}

/// Counters of the edge beside those of `EdgeMetrics`.
struct EdgeCounters: Sendable {
  let connectionsRefused: CounterRow
  let acceptFailures: Counter
  let acceptPauses: Counter
  /// By `EdgePressure.Kind`.
  let edgeSheds: CounterRow
  /// Times that a client of HTTP/2 was told to have fewer streams.
  let narrowings: Counter
  /// Client connections that are open, over all listeners.
  let clients: Gauge
  let clientAborts: Counter
  let staleConnections: Counter
  let unaskedBytes: Counter
  let repeats: Counter
  let truncations: Counter
  let snapshotsDeferred: Counter
  /// Workers that serve an older configuration than they were given.
  let workersBehind: Gauge
  let snapshots: Gauge
  /// Of blocks, of places to queue them for sending, and of places to keep them in order.
  let exhaustions: CounterRow
  let nameLookups: CounterRow
  let publishFailures: Counter
  let parseRefusals: CounterRow
  let pathRefusals: CounterRow
  let localReplies: CounterRow
  let preludes: CounterRow
  let http2: HTTP2Counters
  let serviceSessions: ServiceSessionCounters
  let secure: SecureCounters

  init(_ registry: MetricRegistry, _ edge: EdgeMetrics) {
    connectionsRefused = registry.counters(
      "spillway_connections_refused_total",
      help: "Connections closed before any byte of theirs was read, by reason.",
      by: "reason",
      values: ConnectionRefusal.allCases.map(\.label)
    )
    acceptFailures = registry.counter(
      "spillway_accept_failures_total",
      help: "Connections that could not be taken: out of descriptors, memory or entries."
    )
    acceptPauses = registry.counter(
      "spillway_accept_pauses_total",
      help: "Times that nothing was accepted for a while because the edge is overloaded."
    )
    edgeSheds = registry.counters(
      "spillway_edge_sheds_total",
      help: "Requests refused because the edge itself is overloaded, by what pressed most.",
      by: "kind",
      values: EdgePressure.Kind.allCases.map(\.label)
    )
    narrowings = registry.counter(
      "spillway_h2_streams_narrowed_total",
      help: "Times that a client of HTTP/2 was told to have fewer streams, for overload."
    )
    clients = registry.gauge(
      "spillway_client_connections",
      help: "Client connections that are open, over all listeners."
    )
    clientAborts = registry.counter(
      "spillway_client_aborts_total",
      help: "Clients that left before their response was complete."
    )
    staleConnections = registry.counter(
      "spillway_upstream_stale_connections_total",
      help: "Pooled connections that turned out closed when they were wanted."
    )
    unaskedBytes = registry.counter(
      "spillway_upstream_unasked_bytes_total",
      help: "Idle upstream connections that were closed because the service spoke unasked."
    )
    repeats = registry.counter(
      "spillway_upstream_repeats_total",
      help: "Requests sent once more because a reused connection was closed."
    )
    truncations = registry.counter(
      "spillway_truncated_responses_total",
      help: "Responses that broke off after their head was passed on."
    )
    snapshotsDeferred = registry.counter(
      "spillway_snapshots_deferred_total",
      help: "Times a worker kept its configuration because too many were still in use."
    )
    workersBehind = registry.gauge(
      "spillway_config_workers_behind",
      help: "Workers that serve an older configuration because too many are still in use."
    )
    snapshots = registry.gauge(
      "spillway_snapshots",
      help: "Configurations that workers hold: the newest, and those of requests under way."
    )
    exhaustions = registry.counters(
      "spillway_buffer_exhaustions_total",
      help: "Times that no buffer block, or no place to queue or to keep one, was left.",
      by: "kind",
      values: ["blocks", "segments", "stretches"]
    )
    nameLookups = registry.counters(
      "spillway_dns_lookups_total",
      help: "Lookups of endpoint names; ok ones changed the addresses.",
      by: "outcome",
      values: NameLookupOutcome.allCases.map { "\($0)" }
    )
    publishFailures = registry.counter(
      "spillway_dns_publish_failures_total",
      help: "Times that new addresses could not take effect because a bound was reached."
    )
    preludes = registry.counters(
      "spillway_proxy_preludes_total",
      help: "Connections of trusted peers where the PROXY protocol is spoken, by what came of it.",
      by: "result",
      values: PreludeResult.labels
    )
    http2 = HTTP2Counters(registry)
    serviceSessions = ServiceSessionCounters(registry)
    secure = SecureCounters(registry)
    parseRefusals = edge.parseRefusals(ParseFault.allCases.map { "\($0.reason)" })
    pathRefusals = edge.parseRefusals(PathFault.allCases.map { "\($0.reason)" })
    localReplies = edge.localReplies(ReplyReason.allCases.map { "\($0.wording.token)" })
  }
}

/// The names of reply reasons in the access log.
struct ReplyNames: Sendable {
  private let names: [NameID]

  init(_ table: NameTable) {
    names = ReplyReason.allCases.map { table.id(for: "\($0.wording.token)") }
  }

  func reason(_ reason: ReplyReason) -> NameID { names[Int(reason.rawValue)] }
}
