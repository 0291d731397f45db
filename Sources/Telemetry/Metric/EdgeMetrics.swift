/// The standard metrics of the edge and the handles of those that have no further label.
///
/// Handles of a route, a service and a listener come in plain structs, made on the slow plane and
/// kept by index beside what a snapshot knows of each.
public struct EdgeMetrics: Sendable {
  /// What was added to a request by the edge itself: all of its time but the upstream's.
  public let addedLatency: Histogram
  /// Exchanges that have begun and not ended.
  public let activeExchanges: Gauge
  /// Buffer blocks in use and free.
  public let blocksInUse: Gauge
  public let blocksFree: Gauge
  /// Loop turns that took longer than the watchdog allows.
  public let workerStalls: Counter
  /// How long an event waited for its worker's loop.
  public let workerLoopDelay: Histogram
  /// By `TimeoutKind`.
  public let timeouts: CounterRow
  /// By `ReloadOutcome`.
  public let reloads: CounterRow
  public let downstreamBytesIn: Counter
  public let downstreamBytesOut: Counter
  public let upstreamBytesIn: Counter
  public let upstreamBytesOut: Counter

  let registry: MetricRegistry

  public init(_ registry: MetricRegistry) {
    self.registry = registry
    addedLatency = registry.histogram(
      "spillway_added_latency_seconds",
      help: "Time that requests spent in the edge rather than upstream."
    )
    activeExchanges = registry.gauge(
      "spillway_exchanges_active",
      help: "Requests that have begun and not ended."
    )
    let blocks = "Buffer blocks, by state."
    blocksInUse = registry.gauge("spillway_buffer_blocks", help: blocks, labels: ["state": "used"])
    blocksFree = registry.gauge("spillway_buffer_blocks", help: blocks, labels: ["state": "free"])
    workerStalls = registry.counter(
      "spillway_worker_stalls_total",
      help: "Loop turns that took longer than the watchdog allows."
    )
    workerLoopDelay = registry.histogram(
      "spillway_worker_loop_delay_seconds",
      help: "How long events waited for their worker's loop."
    )
    timeouts = registry.counters(
      "spillway_timeouts_total",
      help: "Waits that ended by their timer, by kind.",
      by: "kind",
      values: TimeoutKind.allCases.map(\.label)
    )
    reloads = registry.counters(
      "spillway_config_reloads_total",
      help: "Configurations that were read, by outcome.",
      by: "outcome",
      values: ReloadOutcome.allCases.map(\.label)
    )
    func bytes(_ direction: String, _ side: String) -> Counter {
      registry.counter(
        "spillway_bytes_total",
        help: "Bytes read from (in) and written to (out) peers, by side.",
        labels: ["direction": direction, "side": side]
      )
    }
    downstreamBytesIn = bytes("in", "downstream")
    downstreamBytesOut = bytes("out", "downstream")
    upstreamBytesIn = bytes("in", "upstream")
    upstreamBytesOut = bytes("out", "upstream")
  }

  /// Refused messages and paths by reason; `reasons` in the order of whose faults they are.
  public func parseRefusals(_ reasons: [String]) -> CounterRow {
    registry.counters(
      "spillway_parse_refusals_total",
      help: "Messages that broke the protocol and paths that were refused, by reason.",
      by: "reason",
      values: reasons
    )
  }

  /// Responses that the edge wrote itself by reason, in the order of the edge's reasons.
  public func localReplies(_ reasons: [String]) -> CounterRow {
    registry.counters(
      "spillway_local_replies_total",
      help: "Responses that the edge wrote itself, by reason.",
      by: "reason",
      values: reasons
    )
  }

  /// The handles of one route; the same for the same name, whatever snapshot it is in.
  public func route(_ name: String) -> RouteMetrics {
    RouteMetrics(
      requests: registry.requests(
        "spillway_requests_total",
        help: "Requests that ended, by route, method and status.",
        labels: ["route": name]
      ),
      duration: registry.histogram(
        "spillway_request_duration_seconds",
        help: "From the first byte of a request to the last of its response, by route.",
        labels: ["route": name]
      )
    )
  }

  /// Requests of a route that its fallback stood in for, by reason.
  ///
  /// - Parameters:
  ///   - route: The route's name.
  ///   - target: The service that it names, or `respond`.
  ///   - reasons: In the order of the edge's reasons for it.
  /// - Returns: A counter for each reason.
  public func fallbacks(of route: String, to target: String, _ reasons: [String]) -> CounterRow {
    registry.counters(
      "spillway_fallbacks_total",
      help: "Requests that the fallback of a route was used for, by what there was nobody to ask.",
      labels: ["route": route, "to": target],
      by: "reason",
      values: reasons
    )
  }

  /// Reports of load that endpoints of a service sent, by what they came to.
  public func loadReports(of service: String, _ results: [String]) -> CounterRow {
    registry.counters(
      "spillway_load_reports_total",
      help: "Reports of load in responses of a service, by what they came to.",
      labels: ["service": service],
      by: "result",
      values: results
    )
  }

  /// Attempts of a service that prefers the edge's own zone, by where they went.
  public func zones(of service: String, _ zones: [String]) -> CounterRow {
    registry.counters(
      "spillway_zone_attempts_total",
      help: "Attempts that went to endpoints of the edge's own zone (local), and to others.",
      labels: ["service": service],
      by: "zone",
      values: zones
    )
  }

  /// The handles of one service.
  public func service(_ name: String) -> ServiceMetrics {
    let pool = "Upstream connections in the pools, by service and state."
    return ServiceMetrics(
      duration: registry.histogram(
        "spillway_upstream_duration_seconds",
        help: "From the start of an attempt to the head of its response, by service.",
        labels: ["service": name]
      ),
      queueWait: registry.histogram(
        "spillway_queue_wait_seconds",
        help: "How long admitted requests waited in the queue, of those that did, by service.",
        labels: ["service": name]
      ),
      connectFailures: registry.counter(
        "spillway_upstream_connect_failures_total",
        help: "Upstream connections that could not be made, by service.",
        labels: ["service": name]
      ),
      connections: connections(side: "upstream", peer: name),
      poolIdle: registry.gauge(
        "spillway_upstream_pool_connections",
        help: pool,
        labels: ["service": name, "state": "idle"]
      ),
      poolBusy: registry.gauge(
        "spillway_upstream_pool_connections",
        help: pool,
        labels: ["service": name, "state": "busy"]
      ),
      http1: spoken("http/1.1", name),
      http2: spoken("h2", name)
    )
  }

  /// Connections to a service by what is spoken on them, as ALPN names it.
  private func spoken(_ name: String, _ service: String) -> ConnectionMetrics {
    let labels: Labels = ["service": service, "protocol": name]
    return ConnectionMetrics(
      open: registry.gauge(
        "spillway_upstream_connections_active",
        help: "Upstream connections that stand, by service and by the protocol that is spoken.",
        labels: labels
      ),
      opened: registry.counter(
        "spillway_upstream_connections_made_total",
        help: "Upstream connections that were made, by service and by the protocol that is spoken.",
        labels: labels
      ),
      closed: registry.counter(
        "spillway_upstream_connections_ended_total",
        help: "Upstream connections that stood and ended, by service and protocol.",
        labels: labels
      )
    )
  }

  /// The handles of one listener.
  public func listener(_ name: String) -> ConnectionMetrics {
    connections(side: "downstream", peer: name)
  }

  private func connections(side: String, peer: String) -> ConnectionMetrics {
    let labels: Labels = ["side": side, "peer": peer]
    return ConnectionMetrics(
      open: registry.gauge(
        "spillway_connections",
        help: "Open connections, by side and by listener or service.",
        labels: labels
      ),
      opened: registry.counter(
        "spillway_connections_opened_total",
        help: "Connections that were opened, by side and by listener or service.",
        labels: labels
      ),
      closed: registry.counter(
        "spillway_connections_closed_total",
        help: "Connections that were closed, by side and by listener or service.",
        labels: labels
      )
    )
  }
}
