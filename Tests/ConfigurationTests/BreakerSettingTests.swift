import Configuration
import Testing
import Units

/// How breakers, outliers and balances are written, and what of it is refused.
@Suite struct BreakerSettingTests {
  private static func parse(_ fields: String) throws -> LoadedConfiguration {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints:",
      with: "  - name: shop\n    \(fields)\n    endpoints:"
    )
    #expect(text != ConfigurationFaultTests.good)
    return try ConfigurationSource.parse(text, file: "x.yaml")
  }

  private static func faults(_ fields: String) -> [String] {
    report({ "\($0.line > 1 ? "" : "no place: ")\($0.path)" }, of: { try parse(fields) })
  }

  @Test func `a service that says nothing has neither breaker nor outliers`() throws {
    let service = try ConfigurationSource.parse(ConfigurationFaultTests.good, file: "x.yaml")
      .settings.services[0]
    #expect(service.breaker == nil)
    #expect(service.outlier == nil)
    #expect(service.balance == .p2c)
  }

  @Test func `what the conventions show works as written`() throws {
    let service = try Self.parse(
      "breaker: {consecutiveFailures: 5, failureRatio: 0.5, minimumRequests: 20, window: 10s, "
        + "open: 5s}\n    outlier: {consecutive5xx: 5, baseEjection: 30s, maxEjectionPercent: 10}"
    ).settings.services[0]
    #expect(service.breaker == BreakerSetting())
    #expect(service.outlier == OutlierSetting())
  }

  @Test(arguments: [
    "breaker: {}", "outlier: {}", "balance: least-requests", "balance: ring-hash",
    "balance: {kind: ring-hash, key: {header: X-User}, loadBound: 1.5}",
    "balance: {kind: ring-hash, key: {cookie: sid}}", "balance: {kind: p2c}", "slowStart: 30s",
    "breaker: {slowCall: 800ms, slowRatio: 0.7, failures: [\"429\", 5xx], open: 90s}",
    "breaker: {consecutiveFailures: 0, failureRatio: 0.1, probes: 15, ramp: 0s}",
    "outlier: {latencyFactor: 2.5, heal: 0s, minimumHosts: 3, baseEjection: 400s}",
  ])
  func `what is written reads back from what is in effect`(_ text: String) throws {
    let loaded = try Self.parse(text)
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")
    #expect(back.settings.services == loaded.settings.services)
  }

  @Test func `endpoints may have a weight and a priority, and read back`() throws {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints: [",
      with: "  - name: shop\n    endpoints: [{address: 10.9.9.9:80, weight: 5, priority: 2}, "
    )
    #expect(text != ConfigurationFaultTests.good)
    let service = try ConfigurationSource.parse(text, file: "x.yaml").settings.services[0]
    #expect(service.endpoints[0] == .host("10.9.9.9", port: 80))
    #expect((service.traits(of: 0).weight, service.traits(of: 0).priority) == (5, 2))
    #expect(service.traits(of: 1) == EndpointTraits())
  }

  @Test(arguments: [
    ("breaker: true", "services[0].breaker"),
    ("breaker: {trips: 5}", "services[0].breaker.trips"),
    ("breaker: {consecutiveFailures: -1}", "services[0].breaker.consecutiveFailures"),
    ("breaker: {failureRatio: 1.5}", "services[0].breaker.failureRatio"),
    ("breaker: {minimumRequests: 0}", "services[0].breaker.minimumRequests"),
    ("breaker: {window: 10ms}", "services[0].breaker.window"),
    ("breaker: {open: 5}", "services[0].breaker.open"),
    ("breaker: {open: 10s, maximumOpen: 5s}", "services[0].breaker.maximumOpen"),
    ("breaker: {slowRatio: 0.5}", "services[0].breaker.slowRatio"),
    ("breaker: {slowCall: 1s, slowRatio: 0}", "services[0].breaker.slowRatio"),
    ("breaker: {probes: 16}", "services[0].breaker.probes"),
    ("breaker: {failures: [shed]}", "services[0].breaker.failures[0]"),
    ("breaker: {failures: []}", "services[0].breaker.failures"),
    ("breaker: {failures: [reset, reset]}", "services[0].breaker.failures[1]"),
    ("breaker: {consecutiveFailures: 0, failureRatio: 0}", "services[0].breaker"),
    ("outlier: {maxEjectionPercent: 101}", "services[0].outlier.maxEjectionPercent"),
    (
      "outlier: {maxEjectionPercent: 1, maximumEjectionPercent: 1}",
      "services[0].outlier.maximumEjectionPercent"
    ),
    ("outlier: {baseEjection: 0s}", "services[0].outlier.baseEjection"),
    (
      "outlier: {baseEjection: 60s, maximumEjection: 30s}",
      "services[0].outlier.maximumEjection"
    ),
    ("outlier: {latencyFactor: 0.5}", "services[0].outlier.latencyFactor"),
    ("outlier: {latencyFactor: nan}", "services[0].outlier.latencyFactor"),
    ("outlier: {minimumHosts: 1}", "services[0].outlier.minimumHosts"),
    ("balance: random", "services[0].balance"),
    ("balance: {key: address}", "services[0].balance"),
    ("balance: {kind: p2c, loadBound: 2}", "services[0].balance.loadBound"),
    ("balance: {kind: ring-hash, loadBound: 1}", "services[0].balance.loadBound"),
    ("balance: {kind: ring-hash, key: path}", "services[0].balance.key"),
    ("balance: {kind: ring-hash, key: {header: a, cookie: b}}", "services[0].balance.key"),
    ("balance: {kind: ring-hash, key: {header: \"a b\"}}", "services[0].balance.key.header"),
    ("slowStart: fast", "services[0].slowStart"),
  ])
  func `a fault is named with its place`(_ item: (String, String)) {
    let found = Set(Self.faults(item.0))
    #expect(found.contains(item.1), "\(found)")
    // A list without an entry is told of once, whatever else follows from it.
    #expect(found.count <= 2)
  }
}
