import Configuration
import Testing

/// How hard caps are written, and what of it is refused.
@Suite struct CapSettingTests {
  private static func parse(_ fields: String) throws -> LoadedConfiguration {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints:",
      with: "  - name: shop\n    \(fields)\n    endpoints:"
    )
    return try ConfigurationSource.parse(text, file: "x.yaml")
  }

  @Test func `without them nobody waits`() throws {
    let service = try ConfigurationSource.parse(ConfigurationFaultTests.good, file: "x.yaml")
      .settings.services[0]
    #expect(service.limits == nil)
  }

  @Test func `caps of the service and of each endpoint`() throws {
    let service = try Self.parse(
      "limits: {connections: 1000, pending: 100, requests: 2000, "
        + "perEndpoint: {connections: 300, pending: 50, requests: 500}}"
    ).settings.services[0]
    #expect(service.maximumConnections == 1_000)
    #expect(service.limits?.pending == 100)
    #expect(service.limits?.requests == 2_000)
    #expect(service.limits?.perEndpoint.connections == 300)
    #expect(service.limits?.perEndpoint.pending == 50)
    #expect(service.limits?.perEndpoint.requests == 500)
    let plain = try Self.parse("limits: {}").settings.services[0]
    #expect(plain.limits == CapSetting() && plain.limits?.pending == 1_024)
  }

  @Test(arguments: [
    "limits: {}", "limits: {requests: 10}", "limits: {connections: 5, pending: 0}",
    "limits: {requests: 10, perEndpoint: {requests: 3}}",
    "limits: {perEndpoint: {connections: 2, pending: 7}}\n    connections: {maximum: 9}",
  ])
  func `what is written reads back from what is in effect`(_ text: String) throws {
    let loaded = try Self.parse(text)
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")
    #expect(back.settings.services == loaded.settings.services)
    #expect(back.settings.services[0].limits != nil)
  }

  @Test(arguments: [
    ("limits: 5", "services[0].limits", "must be a map"),
    ("limits: {request: 5}", "services[0].limits.request", "did you mean requests?"),
    ("limits: {requests: 0}", "services[0].limits.requests", "from 1 to"),
    ("limits: {pending: -1}", "services[0].limits.pending", "from 0 to"),
    ("limits: {connections: many}", "services[0].limits.connections", "whole number"),
    (
      "connections: {maximum: 5}\n    limits: {connections: 5}", "services[0].limits.connections",
      "keep one"
    ),
    (
      "limits: {requests: 5, perEndpoint: {requests: 6}}",
      "services[0].limits.perEndpoint.requests", "more than the 5"
    ),
    (
      "connections: {maximum: 5}\n    limits: {perEndpoint: {connections: 6}}",
      "services[0].limits.perEndpoint.connections", "more than the 5"
    ),
    (
      "limits: {pending: 5, perEndpoint: {pending: 6}}", "services[0].limits.perEndpoint.pending",
      "more than the 5"
    ),
    (
      "limits: {perEndpoint: {streams: 6}}", "services[0].limits.perEndpoint.streams",
      "unknown field"
    ),
  ])
  func `what makes no sense is refused where it stands`(
    _ fields: String,
    _ path: String,
    _ says: String
  ) throws {
    let error = try #require(throws: ConfigurationError.self) { try Self.parse(fields) }
    let fault = try #require(error.faults.first)
    #expect(error.faults.count == 1)
    #expect(fault.path == path)
    #expect(fault.message.contains(says), "\(fault.message)")
    #expect(fault.line > 1 && fault.column > 1)
  }
}
