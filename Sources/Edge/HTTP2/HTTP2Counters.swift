internal import HTTPCodec
internal import Telemetry

/// What HTTP/2 adds to the counters of the edge.
struct HTTP2Counters: Sendable {
  /// Sessions and streams that are open.
  let sessions: Gauge
  let streams: Gauge
  /// Bytes that nghttp2 has.
  let memory: Gauge
  let sessionsOpened: Counter
  let streamsOpened: Counter
  let frames: Counter
  /// By `StreamResetSide`.
  let resets: CounterRow
  /// By `SessionFault`.
  let sessionFaults: CounterRow
  /// By `H2HeadFault`.
  let malformed: CounterRow

  init(_ registry: MetricRegistry) {
    sessions = registry.gauge("spillway_h2_sessions", help: "HTTP/2 connections that are open.")
    streams = registry.gauge("spillway_h2_streams", help: "HTTP/2 streams that are open.")
    memory = registry.gauge(
      "spillway_h2_memory_bytes",
      help: "Memory of HTTP/2 connections, of clients and to services, without bodies."
    )
    sessionsOpened = registry.counter(
      "spillway_h2_sessions_opened_total",
      help: "Connections that began to speak HTTP/2."
    )
    streamsOpened = registry.counter(
      "spillway_h2_streams_opened_total",
      help: "HTTP/2 streams that brought a request."
    )
    frames = registry.counter(
      "spillway_h2_frames_received_total",
      help: "HTTP/2 frames that clients sent, up to the one that ended a connection."
    )
    resets = registry.counters(
      "spillway_h2_stream_resets_total",
      help: "HTTP/2 streams that were reset, by the side that did it.",
      by: "side",
      values: StreamResetSide.allCases.map { "\($0)" }
    )
    sessionFaults = registry.counters(
      "spillway_h2_connection_errors_total",
      help: "HTTP/2 connections that were ended for what their peer did, by reason.",
      by: "reason",
      values: SessionFault.labels
    )
    malformed = registry.counters(
      "spillway_h2_malformed_messages_total",
      help: "Messages over HTTP/2 that were refused, by reason.",
      by: "reason",
      values: H2HeadFault.allCases.map { "\($0.reason)" }
    )
  }
}

/// Who reset a stream.
enum StreamResetSide: Int, CaseIterable {
  case client
  case edge
}

/// Why a session was ended, as labels: abuse by its reason, the rest by its kind.
enum SessionFault {
  private static let others = ["not-http2", "protocol", "broken", "ping-timeout"]

  static var labels: [String] {
    AbuseReason.allCases.map { "\($0.reason)" } + others + H2Wait.allCases.map { "\($0.reason)" }
  }

  /// The client did not answer PING.
  static let lost = AbuseReason.allCases.count + 3

  static func place(_ failure: H2Failure) -> Int {
    switch failure {
    case .abuse(let reason): Int(reason.rawValue)
    case .notHTTP2: AbuseReason.allCases.count
    case .violation: AbuseReason.allCases.count + 1
    case .broken: AbuseReason.allCases.count + 2
    case .late(let wait): lost + 1 + Int(wait.rawValue)
    }
  }
}

extension WorkerMeter {
  func sessionOpened() { shard.add(more.http2.sessionsOpened) }
  func streamOpened() { shard.add(more.http2.streamsOpened) }
  func streamReset(_ side: StreamResetSide) { shard.add(more.http2.resets[side.rawValue]) }
  func malformed(_ fault: H2HeadFault) { shard.add(more.http2.malformed[Int(fault.rawValue)]) }
  func sessionFailed(_ failure: H2Failure) {
    shard.add(more.http2.sessionFaults[SessionFault.place(failure)])
  }
  func sessionLost() { shard.add(more.http2.sessionFaults[SessionFault.lost]) }
  func received(frames: UInt64) { shard.add(more.http2.frames, frames) }
  func set(http2Memory: Int) { shard.set(more.http2.memory, Int64(http2Memory)) }
  func set(sessions: Int, streams: Int) {
    shard.set(more.http2.sessions, Int64(sessions))
    shard.set(more.http2.streams, Int64(streams))
  }
}
