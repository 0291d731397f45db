/// What a worker counts for the TLS of one service.
public struct SecureServiceMetrics: Sendable, BitwiseCopyable {
  /// By whether a session was resumed, for each version.
  public var handshakes12: CounterRow
  public var handshakes13: CounterRow
  /// By the edge's reasons.
  public var failures: CounterRow

  @inlinable
  public init(
    handshakes12: CounterRow = CounterRow(),
    handshakes13: CounterRow = CounterRow(),
    failures: CounterRow = CounterRow()
  ) {
    self.handshakes12 = handshakes12
    self.handshakes13 = handshakes13
    self.failures = failures
  }
}

extension EdgeMetrics {
  /// The handles of one service that is spoken to over TLS.
  ///
  /// - Parameters:
  ///   - name: The service.
  ///   - versions: Labels of TLS 1.2 and 1.3.
  ///   - kinds: Labels of full and resumed handshakes.
  ///   - reasons: Why one fails, in the order of the edge's reasons.
  /// - Returns: The same handles for the same name.
  public func secureService(
    _ name: String,
    versions: (String, String),
    kinds: [String],
    reasons: [String]
  ) -> SecureServiceMetrics {
    func handshakes(_ version: String) -> CounterRow {
      registry.counters(
        "spillway_upstream_tls_handshakes_total",
        help: "TLS handshakes with services that succeeded, by service, version and kind.",
        labels: ["service": name, "version": version],
        by: "kind",
        values: kinds
      )
    }
    return SecureServiceMetrics(
      handshakes12: handshakes(versions.0),
      handshakes13: handshakes(versions.1),
      failures: registry.counters(
        "spillway_upstream_tls_handshake_failures_total",
        help: "TLS handshakes with services that did not succeed, by service and reason.",
        labels: ["service": name],
        by: "reason",
        values: reasons
      )
    )
  }
}
