internal import TLS
internal import Telemetry

/// What TLS adds to the counters of the edge.
struct SecureCounters: Sendable {
  /// By `HandshakeKind`, for each version.
  let handshakes12: CounterRow
  let handshakes13: CounterRow
  /// By `HandshakeFailure`.
  let failures: CounterRow
  let waited: Counter
  /// Handshakes under way, and clients that wait for one.
  let running: Gauge
  let waiting: Gauge
  /// By `TLSFault`, once the handshake is over.
  let faults: CounterRow
  /// Handshakes with services under way, and connections that wait for one.
  let upstreamRunning: Gauge
  let upstreamWaiting: Gauge
  let upstreamWaited: Counter
  /// By `TLSFault`, once the handshake with a service is over.
  let upstreamFaults: CounterRow
  /// By `CertificateReload`.
  let reloads: CounterRow

  init(_ registry: MetricRegistry) {
    func handshakes(_ version: TLSVersion) -> CounterRow {
      registry.counters(
        "spillway_tls_handshakes_total",
        help: "TLS handshakes that succeeded, by version and by whether a session was resumed.",
        labels: ["version": "\(version.name)"],
        by: "kind",
        values: HandshakeKind.allCases.map { "\($0)" }
      )
    }
    handshakes12 = handshakes(.tls12)
    handshakes13 = handshakes(.tls13)
    failures = registry.counters(
      "spillway_tls_handshake_failures_total",
      help: "TLS handshakes that did not succeed, by reason.",
      by: "reason",
      values: HandshakeFailure.labels
    )
    waited = registry.counter(
      "spillway_tls_handshakes_waited_total",
      help: "TLS handshakes that had to wait for others to end."
    )
    running = registry.gauge(
      "spillway_tls_handshakes_active",
      help: "TLS handshakes under way."
    )
    waiting = registry.gauge(
      "spillway_tls_handshakes_waiting",
      help: "Clients that wait for other TLS handshakes to end."
    )
    faults = registry.counters(
      "spillway_tls_faults_total",
      help: "TLS connections that were broken after their handshake, by reason.",
      by: "reason",
      values: TLSFault.allCases.map { "\($0.reason)" }
    )
    upstreamRunning = registry.gauge(
      "spillway_upstream_tls_handshakes_active",
      help: "TLS handshakes with services under way."
    )
    upstreamWaiting = registry.gauge(
      "spillway_upstream_tls_handshakes_waiting",
      help: "Connections to services that wait for other TLS handshakes to end."
    )
    upstreamWaited = registry.counter(
      "spillway_upstream_tls_handshakes_waited_total",
      help: "TLS handshakes with services that had to wait for others to end."
    )
    upstreamFaults = registry.counters(
      "spillway_upstream_tls_faults_total",
      help: "TLS connections to services that broke in use, by reason.",
      by: "reason",
      values: TLSFault.allCases.map { "\($0.reason)" }
    )
    reloads = registry.counters(
      "spillway_tls_certificate_reloads_total",
      help: "Times that changed certificate files were read, by outcome.",
      by: "outcome",
      values: CertificateReload.allCases.map { "\($0)" }
    )
  }
}

enum HandshakeKind: Int, CaseIterable {
  case full
  case resumed
}

/// What became of changed certificate files.
enum CertificateReload: Int, CaseIterable {
  case applied
  case refused
}

/// Why a handshake failed: a fault of TLS, or what only the edge knows of.
enum HandshakeFailure {
  case fault(TLSFault)
  /// It took longer than a head may.
  case timeout
  /// Too many were waiting already.
  case refused
  /// The client left before the end.
  case abandoned
  /// It stood still while others waited, or too many had only begun.
  case displaced
  /// This process itself was overloaded.
  case overload

  static var labels: [String] {
    TLSFault.allCases.map { "\($0.reason)" }
      + ["timeout", "refused", "abandoned", "displaced", "overload"]
  }

  var place: Int {
    let faults = TLSFault.allCases.count
    return switch self {
    case .fault(let fault): Int(fault.rawValue)
    case .timeout: faults
    case .refused: faults + 1
    case .abandoned: faults + 2
    case .displaced: faults + 3
    case .overload: faults + 4
    }
  }
}

extension WorkerMeter {
  func handshakeDone(_ version: TLSVersion, isResumed: Bool) {
    let kind = isResumed ? HandshakeKind.resumed : .full
    let row = version == .tls13 ? more.secure.handshakes13 : more.secure.handshakes12
    shard.add(row[kind.rawValue])
  }
  func handshakeFailed(_ failure: HandshakeFailure) {
    shard.add(more.secure.failures[failure.place])
  }
  func handshakeWaited() { shard.add(more.secure.waited) }
  func secureFault(_ fault: TLSFault) { shard.add(more.secure.faults[Int(fault.rawValue)]) }
  func upstreamHandshakeDone(
    _ metrics: SecureServiceMetrics,
    _ version: TLSVersion,
    isResumed: Bool
  ) {
    let kind = isResumed ? HandshakeKind.resumed : .full
    let row = version == .tls13 ? metrics.handshakes13 : metrics.handshakes12
    shard.add(row[kind.rawValue])
  }
  func upstreamHandshakeFailed(
    _ metrics: SecureServiceMetrics,
    _ failure: UpstreamHandshakeFailure
  ) {
    shard.add(metrics.failures[failure.place])
  }
  func upstreamSecureFault(_ fault: TLSFault) {
    shard.add(more.secure.upstreamFaults[Int(fault.rawValue)])
  }
  func upstreamHandshakeWaited() { shard.add(more.secure.upstreamWaited) }
  func set(upstreamHandshakes: Int, waiting: Int) {
    shard.set(more.secure.upstreamRunning, Int64(upstreamHandshakes))
    shard.set(more.secure.upstreamWaiting, Int64(waiting))
  }
  func set(handshakes: Int, waiting: Int) {
    shard.set(more.secure.running, Int64(handshakes))
    shard.set(more.secure.waiting, Int64(waiting))
  }
}
