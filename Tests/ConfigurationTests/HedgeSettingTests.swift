import Configuration
import Testing

/// How hedges are written, and what of it is refused.
@Suite struct HedgeSettingTests {
  private static func parse(
    _ policies: String,
    match: String = "pathPrefix: /v1",
    action: String = "upstream: {service: shop}"
  ) throws -> Settings {
    try ShopText.parse(
      service: "endpoints: [\"127.0.0.1:9000\", \"127.0.0.1:9001\"]",
      match: match,
      action: action,
      policies: policies
    )
  }

  private static func faults(
    _ policies: String,
    match: String = "pathPrefix: /v1",
    action: String = "upstream: {service: shop}"
  ) -> [String] {
    report(
      { "\($0.line):\($0.column): \($0.path): \($0.message)" },
      of: { try parse(policies, match: match, action: action) }
    )
  }

  @Test func `nothing is hedged unless it is asked for`() throws {
    #expect(try Self.parse("").routes[0].hedge == nil)
  }

  @Test(arguments: [
    (", hedge: {}", 0.95), (", hedge: {percentile: 0.98}", 0.98),
    (", hedge: {percentile: 99%}", 0.99),
    (", hedge: {percentile: 0.5}", 0.5), (", hedge: {percentile: 0.999}", 0.999),
  ])
  func `a percentile reads as written, and back from what is in effect`(
    _ policies: String,
    _ percentile: Double
  ) throws {
    let settings = try Self.parse(policies)

    #expect(settings.routes[0].hedge?.percentile == percentile)
    let back = try ConfigurationSource.parse(settings.effectiveYAML(), file: "y.yaml").settings
    #expect(back == settings)
  }

  @Test(arguments: [
    (", hedge: {percentile: 0.49}", "10:48: routes[0].policies.hedge.percentile: is 0.49; must be"),
    (
      ", hedge: {percentile: 1}", "10:48: routes[0].policies.hedge.percentile: is 1.0; must be from"
    ),
    (", hedge: {percentile: 95}", "10:48: routes[0].policies.hedge.percentile: must be a share"),
    (
      ", hedge: {percentil: 0.9}", "10:36: routes[0].policies.hedge.percentil: unknown field; did y"
    ),
    (", hedge: true", "10:35: routes[0].policies.hedge: must be a map"),
  ])
  func `what cannot be meant is refused where it stands`(_ policies: String, _ says: String) {
    let faults = Self.faults(policies)

    #expect(faults.contains { $0.hasPrefix(says) }, "\(faults)")
  }

  @Test func `a route without a request for it has no hedges`() {
    let writes = Self.faults(", hedge: {}", match: "pathPrefix: /v1, methods: [POST, PUT]")
    #expect(writes.contains { $0.contains("the route takes only POST, PUT") }, "\(writes)")
    #expect(Self.faults(", hedge: {}", match: "pathPrefix: /v1, methods: [POST, HEAD]") == [])
    let answers = Self.faults(", hedge: {}", action: "respond: {status: 204}")
    #expect(answers.contains { $0.contains("is for routes to services") }, "\(answers)")
  }
}
