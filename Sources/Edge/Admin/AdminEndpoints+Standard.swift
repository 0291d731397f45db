public import Telemetry

extension AdminEndpoints {
  /// Adds metrics, health, readiness and the configuration's version.
  public func registerStandard(metrics: MetricRegistry, readiness: ReadinessState) {
    register("/metrics", summary: "metrics for Prometheus, text or OpenMetrics") { request in
      let format = ExpositionFormat.preferred(by: request.fields["accept"] ?? "")
      let body = metrics.exposition(format)
      return AdminReply(contentType: format.contentType, body: body)
    }
    register("/healthz", summary: "200 while the process runs") { _ in .text("ok\n") }
    register("/readyz", summary: "200 while traffic may be sent here") { _ in
      let state = readiness.current
      return .json(state.json, status: state.isReady ? 200 : 503)
    }
    register("/admin/config-version", summary: "the configuration in effect") { _ in
      guard let version = readiness.current.configuration else {
        return .json("{\"error\":\"no configuration is in effect\"}\n", status: 503)
      }
      return .json(version.json)
    }
  }

  private func register(
    _ path: String,
    summary: String,
    handler: @escaping Handler
  ) {
    register("GET", path, summary: summary, handler: handler)
  }
}
