import Configuration
import Testing

/// How sources of endpoints are written, and what of it is refused.
@Suite struct DiscoverySettingTests {
  private static func parse(
    _ service: String,
    upstream: String = "service: shop",
    file: String = "x.yaml"
  ) throws -> Settings {
    let text = """
      environment: test
      listeners:
        - {name: public, address: "127.0.0.1:0"}
      services:
        - {name: shop, \(service)}
      routes:
        - name: shop
          match: {pathPrefix: /v1}
          upstream: {\(upstream)}
          policies: {auth: none}
      """
    return try ConfigurationSource.parse(text, file: file).settings
  }

  private static func faults(_ service: String) -> [String] {
    do {
      _ = try parse(service)
      return []
    } catch let error as ConfigurationError {
      return error.faults.map { "\($0.line):\($0.column): \($0.path): \($0.message)" }
    } catch {
      return ["\(error)"]
    }
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
      "discovery: {consul: a}",
      "5:30: services[0].discovery.consul: is not available in this version; remove it"
    ),
    ("discovery: {fyle: a}", "5:30: services[0].discovery.fyle: unknown field; did you mean file?"),
  ])
  func `what makes no sense is refused where it stands`(_ service: String, _ fault: String) {
    #expect(Self.faults(service) == [fault])
  }
}
