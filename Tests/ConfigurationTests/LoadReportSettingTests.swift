import Configuration
import Testing
import Units

/// How the use of load reports and the preference of a zone are written, and what of it is refused.
@Suite struct LoadReportSettingTests {
  private static func parse(_ fields: String, root: String = "") throws -> LoadedConfiguration {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints:",
      with: "  - name: shop\n    \(fields)\n    endpoints:"
    )
    return try ConfigurationSource.parse(root + text, file: "x.yaml")
  }

  @Test func `without a word reports are of no use and zones are alike`() throws {
    let settings = try ConfigurationSource.parse(ConfigurationFaultTests.good, file: "x.yaml")
      .settings
    #expect(settings.zone == nil)
    #expect(settings.services[0].loadReports == nil)
    #expect(settings.services[0].zonePreference == nil)
  }

  @Test func `all of it`() throws {
    let loaded = try Self.parse(
      "loadReports: {weights: false, limit: false, utilization: named_metrics.queue.fill, "
        + "errorPenalty: 2.5, hotQuantile: 90%, blackout: 1s, expiration: 1m, forward: true}\n"
        + "    zonePreference: {overprovisioning: 2}",
      root: "zone: eu-west-1a\n"
    )
    let reports = try #require(loaded.settings.services[0].loadReports)
    #expect(!reports.usesWeights && !reports.informsLimit && reports.isForwarded)
    #expect(reports.utilization == "queue.fill")
    #expect(reports.errorPenalty == 2.5 && reports.hotQuantile == 0.9)
    #expect(reports.blackout == .seconds(1) && reports.expiration == .seconds(60))
    #expect(loaded.settings.services[0].zonePreference?.overprovisioning == 2)
    #expect(loaded.settings.zone == "eu-west-1a")
  }

  @Test func `defaults are those of gRPC and Envoy, and keys keep their places`() throws {
    let plain = try Self.parse("loadReports: {}\n    zonePreference: {}").settings.services[0]
    #expect(plain.loadReports == LoadReportSetting())
    #expect(plain.loadReports?.blackout == .seconds(10))
    #expect(plain.loadReports?.expiration == .seconds(180))
    #expect(plain.loadReports?.hotQuantile == 0.84 && plain.loadReports?.isForwarded == false)
    #expect(plain.zonePreference?.overprovisioning == 1.4)
    let ring = try Self.parse("loadReports: {}\n    balance: ring-hash").settings.services[0]
    #expect(ring.loadReports?.usesWeights == false)
  }

  @Test(arguments: [
    "loadReports: {}", "zonePreference: {}",
    "loadReports: {utilization: named_metrics.q, forward: true, blackout: 0s, errorPenalty: 0}",
    "balance: ring-hash\n    loadReports: {limit: false}",
    "balance: round-robin\n    loadReports: {}",
    "zonePreference: {overprovisioning: 1}",
  ])
  func `what is written reads back from what is in effect`(_ text: String) throws {
    let loaded = try Self.parse(text, root: "zone: here\n")
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")
    #expect(back.settings == loaded.settings)
  }

  @Test func `endpoints have zones, in the configuration and in files`() throws {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints:",
      with: "  - name: zoned\n    endpoints: [{address: 10.0.0.1:80, zone: a}, 10.0.0.2:80]\n"
        + "  - name: shop\n    endpoints:"
    )
    let settings = try ConfigurationSource.parse(text, file: "x.yaml").settings
    #expect(settings.services[0].endpointTraits.map(\.zone) == ["a", nil])
    let back = try ConfigurationSource.parse(settings.effectiveYAML(), file: "y.yaml")
    #expect(back.settings == settings)
    let list = try EndpointFile.read(
      "endpoints: [{address: 10.0.0.1:80, zone: b/1.c_d}]",
      file: "e.yaml"
    )
    #expect(list.map(\.traits.zone) == ["b/1.c_d"])
  }

  @Test(arguments: [
    ("loadReports: true", "services[0].loadReports", "must be a map"),
    ("loadReports: {weight: true}", "services[0].loadReports.weight", "did you mean weights?"),
    ("loadReports: {weights: yes please}", "services[0].loadReports.weights", "true or false"),
    ("loadReports: {limit: 1}", "services[0].loadReports.limit", "true or false"),
    ("loadReports: {forward: [true]}", "services[0].loadReports.forward", "must be text"),
    ("loadReports: {utilization: queue}", "services[0].loadReports.utilization", "named_metrics."),
    (
      "loadReports: {utilization: \"named_metrics.a b\"}", "services[0].loadReports.utilization",
      "named_metrics.NAME"
    ),
    ("loadReports: {errorPenalty: -1}", "services[0].loadReports.errorPenalty", "from 0.0 to"),
    ("loadReports: {hotQuantile: 2}", "services[0].loadReports.hotQuantile", "share from 0 to 1"),
    (
      "balance: round-robin\n    loadReports: {hotQuantile: 0.9}",
      "services[0].loadReports.hotQuantile", "is for balance: p2c"
    ),
    ("loadReports: {blackout: 2h}", "services[0].loadReports.blackout", "must be from"),
    ("loadReports: {expiration: 0s}", "services[0].loadReports.expiration", "must be from"),
    (
      "balance: ring-hash\n    loadReports: {weights: true}", "services[0].loadReports.weights",
      "keys would move"
    ),
    ("zonePreference: 5", "services[0].zonePreference", "must be a map"),
    (
      "zonePreference: {overprovisioning: 0.5}", "services[0].zonePreference.overprovisioning",
      "from 1.0 to"
    ),
  ])
  func `what cannot be is refused with its place`(
    _ text: String,
    _ path: String,
    _ problem: String
  ) throws {
    let error = try #require(throws: ConfigurationError.self) { try Self.parse(text) }
    #expect(error.faults.contains { $0.path == path && $0.message.contains(problem) }, "\(error)")
  }

  @Test(arguments: ["\"\"", "a b", "\"a\\n\"", "é", "[a]"])
  func `a zone has a name that can be written anywhere`(_ name: String) throws {
    let error = try #require(throws: ConfigurationError.self) {
      try Self.parse("slowStart: 0s", root: "zone: \(name)\n")
    }
    #expect(error.faults.contains { $0.path == "zone" }, "\(error)")
    #expect(Zone.isName(String(repeating: "a", count: 64)))
    #expect(!Zone.isName(String(repeating: "a", count: 65)))
  }
}
