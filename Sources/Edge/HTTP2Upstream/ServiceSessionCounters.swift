internal import HTTPCodec
internal import Telemetry

/// What the edge counts of HTTP/2 towards services.
struct ServiceSessionCounters: Sendable {
  let sessions: Gauge
  let streams: Gauge
  let sessionsOpened: Counter
  let streamsOpened: Counter
  let goAways: Counter
  /// Peers that gave no sign of life.
  let silent: Counter
  /// Requests that were sent once more because the service had done nothing with them.
  let repeats: Counter
  /// By the code, those of the service and our own.
  let resets: CounterRow
  let ownResets: CounterRow
  /// By `SessionFault`.
  let faults: CounterRow

  private static let codes = [
    "no-error", "protocol-error", "internal-error", "flow-control-error", "settings-timeout",
    "stream-closed", "frame-size-error", "refused-stream", "cancel", "compression-error",
    "connect-error", "enhance-your-calm", "inadequate-security", "http-1-1-required", "other",
  ]

  static func place(_ code: H2ErrorCode) -> Int { min(Int(code.rawValue), codes.count - 1) }

  init(_ registry: MetricRegistry) {
    sessions = registry.gauge(
      "spillway_upstream_h2_sessions",
      help: "HTTP/2 connections to services that are open."
    )
    streams = registry.gauge(
      "spillway_upstream_h2_streams",
      help: "HTTP/2 streams to services that are open."
    )
    sessionsOpened = registry.counter(
      "spillway_upstream_h2_sessions_opened_total",
      help: "HTTP/2 connections to services that were begun."
    )
    streamsOpened = registry.counter(
      "spillway_upstream_h2_streams_opened_total",
      help: "HTTP/2 streams to services that were begun."
    )
    goAways = registry.counter(
      "spillway_upstream_h2_goaways_total",
      help: "GOAWAY frames of services."
    )
    silent = registry.counter(
      "spillway_upstream_h2_pings_unanswered_total",
      help: "HTTP/2 connections to services that were ended because a PING was not answered."
    )
    repeats = registry.counter(
      "spillway_upstream_h2_repeats_total",
      help: "Requests sent again because a service had not processed them."
    )
    resets = registry.counters(
      "spillway_upstream_h2_resets_received_total",
      help: "Streams that services reset, by error code.",
      by: "reason",
      values: Self.codes
    )
    ownResets = registry.counters(
      "spillway_upstream_h2_resets_sent_total",
      help: "Streams to services that the edge reset, by error code.",
      by: "reason",
      values: Self.codes
    )
    faults = registry.counters(
      "spillway_upstream_h2_connection_errors_total",
      help: "HTTP/2 connections that were ended for what the service did, by reason.",
      by: "reason",
      values: SessionFault.labels
    )
  }
}

/// Who reset a stream towards a service.
enum ServiceResetSide {
  case service
  case edge
}

extension WorkerMeter {
  func serviceSessionOpened() { shard.add(more.serviceSessions.sessionsOpened) }
  func serviceStreamOpened() { shard.add(more.serviceSessions.streamsOpened) }
  func serviceSaidGoAway() { shard.add(more.serviceSessions.goAways) }
  func serviceSilent() { shard.add(more.serviceSessions.silent) }
  func repeatedElsewhere() { shard.add(more.serviceSessions.repeats) }
  func serviceStreamReset(_ side: ServiceResetSide, _ code: H2ErrorCode) {
    let row = side == .service ? more.serviceSessions.resets : more.serviceSessions.ownResets
    shard.add(row[ServiceSessionCounters.place(code)])
  }
  func serviceSessionFailed(_ failure: H2Failure) {
    shard.add(more.serviceSessions.faults[SessionFault.place(failure)])
  }
  func set(serviceSessions: Int, streams: Int) {
    shard.set(more.serviceSessions.sessions, Int64(serviceSessions))
    shard.set(more.serviceSessions.streams, Int64(streams))
  }
}
