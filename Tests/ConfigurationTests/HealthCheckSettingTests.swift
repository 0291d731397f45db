import Configuration
import Testing
import Units

/// How health checks are written, and what of it is refused.
@Suite struct HealthCheckSettingTests {
  private static func parse(_ fields: String) throws -> HealthCheckSetting? {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints:",
      with: "  - name: shop\n    \(fields)\n    endpoints:"
    )
    let loaded = try ConfigurationSource.parse(text, file: "x.yaml")
    let again = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "e.yaml")
    #expect(again.settings == loaded.settings)
    return loaded.settings.services[0].health
  }

  private static func faults(_ fields: String) -> [String] {
    report({ "\($0.line > 1 ? "" : "no place: ")\($0.path)" }, of: { try parse(fields) })
  }

  @Test func `a service that says nothing is not checked`() throws {
    #expect(try Self.parse("balance: p2c") == nil)
  }

  @Test func `what the conventions show works as written`() throws {
    var expected = HealthCheckSetting()
    expected.path = "/healthz"
    #expect(try Self.parse("health: {path: /healthz, interval: 5s}") == expected)
    #expect(try Self.parse("health: {}") == HealthCheckSetting())
  }

  @Test func `everything can be said`() throws {
    let http = try Self.parse(
      "health: {kind: http, path: \"/up?deep=1\", host: \"api.internal:8080\", "
        + "statuses: [200, 2xx, 301-399], interval: 500ms, timeout: 250ms, healthy: 1, "
        + "unhealthy: 5}"
    )
    #expect(http?.path == "/up?deep=1")
    #expect(http?.host == "api.internal:8080")
    #expect(http?.statuses == [200...200, 200...299, 301...399])
    #expect(http?.interval == .milliseconds(500))
    #expect(http?.timeout == .milliseconds(250))
    #expect(http?.healthy == 1)
    #expect(http?.unhealthy == 5)
    #expect(try Self.parse("health: {kind: tcp}")?.kind == .tcp)
    let call = try Self.parse("protocol: h2c\n    health: {kind: grpc, service: shop.Cart}")
    #expect(call?.kind == .grpc)
    #expect(call?.grpcService == "shop.Cart")
  }

  @Test(arguments: [
    ("health: {path: healthz}", "path"), ("health: {path: \"/a b\"}", "path"),
    ("health: {path: \"/a\\r\\nX: y\"}", "path"), ("health: {path: \"/#x\"}", "path"),
    ("health: {host: \"a b\"}", "host"), ("health: {host: \"a\\r\\nb\"}", "host"),
    ("health: {statuses: []}", "statuses"), ("health: {statuses: [100]}", "statuses[0]"),
    ("health: {statuses: [1xx]}", "statuses[0]"), ("health: {statuses: [xx]}", "statuses[0]"),
    ("health: {statuses: [300-200]}", "statuses[0]"),
    ("health: {statuses: [\"200-\"]}", "statuses[0]"),
    ("health: {statuses: [600]}", "statuses[0]"), ("health: {interval: 1ms}", "interval"),
    ("health: {timeout: 0ms}", "timeout"), ("health: {healthy: 0}", "healthy"),
    ("health: {unhealthy: 0}", "unhealthy"), ("health: {kind: ping}", "kind"),
    ("health: {kind: grpc}", "kind"), ("health: {kind: tcp, path: /x}", "path"),
    ("health: {service: x}", "service"), ("health: {nonsense: 1}", "nonsense"),
  ])
  func `what makes no sense is refused where it stands`(fields: String, place: String) {
    #expect(Self.faults(fields) == ["services[0].health.\(place)"])
  }
}
