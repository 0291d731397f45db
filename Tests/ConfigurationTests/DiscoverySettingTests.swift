import Configuration
import Testing

/// How sources of endpoints are written, and what of it is refused.
@Suite struct DiscoverySettingTests {
  private static func parse(
    _ service: String,
    upstream: String = "service: shop",
    file: String = "x.yaml"
  ) throws -> Settings {
    try ShopText.parse(service: service, action: "upstream: {\(upstream)}", file: file)
  }

  private static func faults(_ service: String) -> [String] {
    report({ "\($0.line):\($0.column): \($0.path): \($0.message)" }, of: { try parse(service) })
  }

  @Test(arguments: [
    ("x.yaml", "shop.yaml", "shop.yaml"), ("/etc/edge/x.yaml", "shop.yaml", "/etc/edge/shop.yaml"),
    ("/etc/edge/x.yaml", "/run/shop.json", "/run/shop.json"),
  ])
  func `a file is found from the configuration's folder, and reads back from what is in effect`(
    _ file: String,
    _ written: String,
    _ path: String
  ) throws {
    let settings = try Self.parse("discovery: {file: \"\(written)\"}", file: file)

    #expect(settings.services[0].discovery == .file(path: path))
    #expect(settings.services[0].endpoints == [])
    let back = try ConfigurationSource.parse(settings.effectiveYAML(), file: "y.yaml").settings
    #expect(back == settings)
  }

  @Test(arguments: [
    (
      "{dns: Catalog.internal, port: 8080}",
      DiscoverySetting.addresses(name: "catalog.internal", port: 8_080)
    ),
    (
      "{dns: catalog.internal, port: 8080, type: a}",
      .addresses(name: "catalog.internal", port: 8_080)
    ),
    (
      "{dns: _http._tcp.shop.internal, type: srv}",
      .services(name: "_http._tcp.shop.internal", port: nil)
    ),
    (
      "{dns: catalog.internal, port: 8080, type: srv}",
      .services(name: "catalog.internal", port: 8_080)
    ),
  ])
  func `names of name servers read as written, and back from what is in effect`(
    _ written: String,
    _ setting: DiscoverySetting
  ) throws {
    let settings = try Self.parse("discovery: \(written)")

    #expect(settings.services[0].discovery == setting)
    let back = try ConfigurationSource.parse(settings.effectiveYAML(), file: "y.yaml").settings
    #expect(back == settings)
  }

  @Test func `a route's port is not looked for in a list that is not there yet`() throws {
    let settings = try Self.parse("discovery: {file: a}", upstream: "service: shop, port: 8080")

    #expect(settings.routes[0].action == .service("shop", port: 8_080))
  }

  @Test(arguments: [
    ("exposure: public", "5:5: services[0]: a service needs a name and endpoints, or discovery"),
    (
      "endpoints: [\"127.0.0.1:1\"], discovery: {file: a}",
      "5:57: services[0].discovery: stands beside endpoints; keep one of the two"
    ),
    (
      "discovery: a",
      "5:29: services[0].discovery: must be a map; write its fields on lines of their own"
    ),
    (
      "discovery: {}",
      "5:29: services[0].discovery: must name one source, such as {file: endpoints.yaml}"
    ),
    ("discovery: {file: \"\"}", "5:36: services[0].discovery.file: must be the path of a file"),
    ("discovery: {file: [a]}", "5:36: services[0].discovery.file: must be text"),
    (
      "discovery: {dns: a.test}",
      "5:29: services[0].discovery: needs a port, which addresses do not have; or type: srv"
    ),
    (
      "discovery: {dns: a.test, port: 1, type: mx}",
      "5:58: services[0].discovery.type: is mx; must be a, srv"
    ),
    ("discovery: {dns: a/b, port: 1}", "5:35: services[0].discovery.dns: is no host name"),
    (
      "discovery: {dns: 10.0.0.1, port: 1}",
      "5:35: services[0].discovery.dns: is an address; write endpoints: [\"10.0.0.1:8080\"]"
    ),
    (
      "discovery: {dns: a.test, port: 0}",
      "5:49: services[0].discovery.port: is 0; must be from 1 to 65535"
    ),
    (
      "discovery: {dns: a.test, port: 1, file: a}",
      "5:35: services[0].discovery.dns: stands beside file; keep one of the two"
    ),
    (
      "discovery: {file: a, port: 1}",
      "5:45: services[0].discovery.port: belongs to dns, the name that is asked for"
    ),
    ("discovery: {fyle: a}", "5:30: services[0].discovery.fyle: unknown field; did you mean file?"),
  ])
  func `what makes no sense is refused where it stands`(_ service: String, _ fault: String) {
    #expect(Self.faults(service) == [fault])
  }

  @Test(arguments: [
    "protocol: https",
    "protocol: auto, tls: {pins: [\"sha256/\(String(repeating: "A", count: 43))=\"]}",
  ])
  func `who answers for SRV records over TLS is verified by a name of the configuration`(
    _ spoken: String
  ) throws {
    let faults = Self.faults("discovery: {dns: a.test, type: srv}, \(spoken)")
    #expect(
      faults == [
        "5:29: services[0].discovery: names of SRV records are no proof of who answers; "
          + "say in tls.serverName or tls.names whom to verify"
      ]
    )
    for source in ["dns: a.test, port: 1", "file: a"] {
      #expect(Self.faults("discovery: {\(source)}, \(spoken)") == [])
    }
  }

  @Test(arguments: [
    "", ", protocol: h2c", ", protocol: h2, tls: {serverName: a.test}",
    ", protocol: https, tls: {names: [a.test]}", ", protocol: https, tls: {insecure: true}",
  ])
  func `SRV records of services in clear, or of a known name, are taken`(_ spoken: String) {
    #expect(Self.faults("discovery: {dns: a.test, type: srv}\(spoken)") == [])
  }
}
