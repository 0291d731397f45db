import Configuration
import Testing

/// How TLS and preludes towards a service are written, and what of it is refused.
@Suite struct ServiceTLSSettingTests {
  private static let pin = "sha256/" + String(repeating: "A", count: 43) + "="

  /// A file whose one service has more fields, in line 3.
  private static func parse(
    _ service: String,
    endpoints: String = "[10.0.0.1:443]"
  ) throws -> LoadedConfiguration {
    let text = """
      listeners: [{name: public, address: "127.0.0.1:0"}]
      services:
        - {name: backend, endpoints: \(endpoints), \(service)}
      routes:
        - {name: all, match: {pathPrefix: /}, upstream: {service: backend}, policies: {auth: none}}

      """
    return try ConfigurationSource.parse(text, file: "conf/x.yaml")
  }

  private static func faults(_ service: String, endpoints: String = "[10.0.0.1:443]") -> [String] {
    report({ "\($0.line) \($0.path)" }, of: { try parse(service, endpoints: endpoints) })
  }

  @Test func `a service in clear has no TLS, and one that speaks TLS has defaults`() throws {
    let clear = try Self.parse("protocol: http1").settings.services[0]
    #expect(clear.wireProtocol == .http1 && clear.tls == nil && clear.proxyProtocol == nil)
    for (text, spoken) in [("https", ServiceProtocol.https), ("h2", .h2), ("auto", .auto)] {
      let secure = try Self.parse("protocol: \(text)").settings.services[0]
      #expect(secure.wireProtocol == spoken)
      #expect(secure.tls == ServiceTLSSetting())
    }
  }

  @Test func `everything that can be said is read, files from the folder of the file`() throws {
    let loaded = try Self.parse(
      "protocol: https, proxyProtocol: v2, tls: {authorities: ca.pem, serverName: api.test, "
        + "names: [a.test, b.test], pins: [\"\(Self.pin)\"], certificate: /c.pem, key: /c.key, "
        + "minimumVersion: \"1.3\"}"
    )
    let service = loaded.settings.services[0]
    var wanted = ServiceTLSSetting()
    wanted.authorities = "conf/ca.pem"
    wanted.serverName = "api.test"
    wanted.names = ["a.test", "b.test"]
    wanted.pins = [Self.pin]
    wanted.credential = .init(certificate: "/c.pem", key: "/c.key")
    wanted.minimumVersion = .tls13
    #expect(service.tls == wanted)
    #expect(service.proxyProtocol == .v2)
    #expect(loaded.files.map(\.field).contains("services[0].tls.authorities"))
  }

  @Test(arguments: [
    "protocol: https",
    "protocol: h2, connections: {pingAfter: 2s}, tls: {serverName: a.test}",
    "protocol: auto, tls: {authorities: /ca.pem}",
    "protocol: https, tls: {insecure: true, pins: [\"\(pin)\"]}",
    "protocol: https, proxyProtocol: v1, tls: {authorities: /ca.pem, names: [\"10.0.0.9\"]}",
    "protocol: https, tls: {certificate: /c.pem, key: /c.key, serverName: a.test, "
      + "pins: [\"\(pin)\"]}",
  ])
  func `what is written out reads back`(service: String) throws {
    let loaded = try Self.parse(service)
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")
    #expect(back.settings == loaded.settings)
  }

  @Test(arguments: [
    ("protocol: http1, tls: {insecure: true}", "services[0].tls"),
    ("tls: {}", "services[0].tls"),
    ("protocol: https, tls: {insecure: yes}", "services[0].tls.insecure"),
    ("protocol: https, tls: {insecure: true, authorities: ca.pem}", "services[0].tls.authorities"),
    ("protocol: https, tls: {insecure: true, names: [a.test]}", "services[0].tls.names"),
    ("protocol: https, tls: {serverName: 10.0.0.1}", "services[0].tls.serverName"),
    ("protocol: https, tls: {serverName: \"*.test\"}", "services[0].tls.serverName"),
    ("protocol: https, tls: {names: []}", "services[0].tls.names"),
    ("protocol: https, tls: {names: [a.test, \"::1\"]}", "services[0].tls.names[1]"),
    ("protocol: https, tls: {names: [\"a b\"]}", "services[0].tls.names[0]"),
    ("protocol: https, tls: {pins: []}", "services[0].tls.pins"),
    ("protocol: https, tls: {pins: [sha256/short]}", "services[0].tls.pins[0]"),
    ("protocol: https, tls: {pins: [\"\(pin)A\"]}", "services[0].tls.pins[0]"),
    ("protocol: https, tls: {certificate: c.pem}", "services[0].tls.certificate"),
    ("protocol: https, tls: {key: c.key}", "services[0].tls.key"),
    ("protocol: https, tls: {authorities: \"\"}", "services[0].tls.authorities"),
    ("protocol: https, tls: {minimumVersion: \"1.1\"}", "services[0].tls.minimumVersion"),
    ("protocol: https, tls: {servername: a.test}", "services[0].tls.servername"),
    ("protocol: tls", "services[0].protocol"),
    ("proxyProtocol: v3", "services[0].proxyProtocol"),
    ("protocol: h2c, proxyProtocol: v1", "services[0].proxyProtocol"),
    ("protocol: h2, proxyProtocol: v2", "services[0].proxyProtocol"),
    ("protocol: auto, proxyProtocol: v1", "services[0].proxyProtocol"),
  ])
  func `what cannot be is refused where it stands`(service: String, path: String) {
    #expect(Self.faults(service) == ["3 \(path)"])
  }

  @Test func `a UNIX socket has no name of its own to be verified by`() {
    let endpoints = "[\"unix:/run/a.sock\", \"a.test:1\"]"
    #expect(
      Self.faults("protocol: https", endpoints: endpoints) == ["3 services[0].endpoints[0]"]
    )
    for tls in ["serverName: a.test", "names: [a.test]", "insecure: true"] {
      #expect(Self.faults("protocol: https, tls: {\(tls)}", endpoints: endpoints).isEmpty)
    }
  }
}
