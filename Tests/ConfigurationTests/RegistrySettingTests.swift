import Configuration
import Testing

/// How registries of endpoints are written, and what of it is refused.
@Suite struct RegistrySettingTests {
  private static func parse(_ service: String, others: [String] = others) throws -> Settings {
    let text = """
      listeners:
        - {name: public, address: "127.0.0.1:0"}
      services:
        - {name: shop, \(service)}
        - {name: etcd, endpoints: ["127.0.0.1:2379"]}
        - {name: consul, discovery: {dns: consul.test, port: 8500}}
        - {name: kube-api, discovery: {file: kube.yaml}}
      \(others.map { "  - {\($0)}\n" }.joined())
      routes:
        - {name: shop, match: {}, upstream: {service: shop}, policies: {auth: none}}
      """
    return try ConfigurationSource.parse(text, file: "/etc/edge/x.yaml").settings
  }

  private static let others: [String] = []

  private static func faults(_ service: String, others: [String] = others) -> [String] {
    report(
      { "\($0.line):\($0.column): \($0.path): \($0.message)" },
      of: { try parse(service, others: others) }
    )
  }

  @Test(arguments: [
    (
      "{etcd: {service: etcd, prefix: /services/catalog/}}",
      RegistrySetting(service: "etcd", .etcd(prefix: "/services/catalog/")),
      "etcd", "/services/catalog/ at etcd"
    ),
    (
      "{etcd: {service: etcd, prefix: \"é#\", tokenFile: etcd.jwt}}",
      RegistrySetting(service: "etcd", .etcd(prefix: "é#"), tokenFile: "/etc/edge/etcd.jwt"),
      "etcd", "é# at etcd"
    ),
    (
      "{consul: {service: consul, name: catalog}}",
      RegistrySetting(
        service: "consul",
        .consul(name: "catalog", tag: nil, datacenter: nil)
      ),
      "consul", "catalog at consul"
    ),
    (
      "{consul: {service: consul, name: catalog, tag: v2, datacenter: dc1, tokenFile: /run/t}}",
      RegistrySetting(
        service: "consul",
        .consul(name: "catalog", tag: "v2", datacenter: "dc1"),
        tokenFile: "/run/t"
      ),
      "consul", "catalog tag v2 in dc1 at consul"
    ),
    (
      "{kubernetes: {service: kube-api, namespace: shop, name: catalog, port: http, tokenFile: /t}}",
      RegistrySetting(
        service: "kube-api",
        .kubernetes(namespace: "shop", name: "catalog", port: .name("http")),
        tokenFile: "/t"
      ),
      "kubernetes", "shop/catalog:http at kube-api"
    ),
    (
      "{kubernetes: {service: kube-api, namespace: shop, name: catalog, port: 8080}}",
      RegistrySetting(
        service: "kube-api",
        .kubernetes(namespace: "shop", name: "catalog", port: .number(8_080))
      ),
      "kubernetes", "shop/catalog:8080 at kube-api"
    ),
    (
      "{kubernetes: {service: kube-api, namespace: shop, name: catalog}}",
      RegistrySetting(
        service: "kube-api",
        .kubernetes(namespace: "shop", name: "catalog", port: nil)
      ),
      "kubernetes", "shop/catalog at kube-api"
    ),
  ])
  func `registries read as written, and back from what is in effect`(
    _ written: String,
    _ setting: RegistrySetting,
    _ kind: String,
    _ place: String
  ) throws {
    let settings = try Self.parse("discovery: \(written)")

    #expect(settings.services[0].discovery == .registry(setting))
    #expect(settings.services[0].discovery?.kind == kind)
    #expect(settings.services[0].discovery?.place == place)
    let back = try ConfigurationSource.parse(settings.effectiveYAML(), file: "y.yaml").settings
    #expect(back == settings)
  }

  @Test func `a file of a token is one of the files that a configuration names`() throws {
    let text = """
      listeners: [{name: public, address: "127.0.0.1:0"}]
      services:
        - {name: shop, discovery: {consul: {service: consul, name: a, tokenFile: t}}}
        - {name: consul, endpoints: ["127.0.0.1:8500"]}
      routes: [{name: a, match: {}, upstream: {service: shop}, policies: {auth: none}}]
      """

    let loaded = try ConfigurationSource.parse(text, file: "/etc/edge/x.yaml")

    #expect(
      loaded.files == [
        FileReference(
          path: "/etc/edge/t",
          field: "services[0].discovery.consul.tokenFile",
          line: 3,
          column: 76
        )
      ]
    )
  }

  @Test(arguments: [
    (
      "{etcd: a}",
      "4:36: services[0].discovery.etcd: must be a map; write its fields on lines of their own"
    ),
    (
      "{etcd: {}}",
      "4:36: services[0].discovery.etcd: needs service and prefix, such as service: etcd"
    ),
    (
      "{etcd: {service: etcd}}",
      "4:36: services[0].discovery.etcd: needs prefix, such as prefix: /services/catalog/"
    ),
    (
      "{etcd: {service: etcd, prefix: \"\"}}",
      "4:60: services[0].discovery.etcd.prefix: must have 1 to 512 bytes and no blanks"
    ),
    (
      "{etcd: {service: etcd, prefix: \"a b\"}}",
      "4:60: services[0].discovery.etcd.prefix: must have 1 to 512 bytes and no blanks"
    ),
    (
      "{etcd: {service: etcd, prefix: a, tag: v}}",
      "4:63: services[0].discovery.etcd.tag: unknown field; this place knows prefix, service, tokenFile"
    ),
    (
      "{consul: {service: consul, name: [a]}}",
      "4:62: services[0].discovery.consul.name: must be text"
    ),
    (
      "{consul: {service: consul, name: a, tag: \"\"}}",
      "4:70: services[0].discovery.consul.tag: must have 1 to 128 bytes and no blanks"
    ),
    (
      "{consul: {name: a}}",
      "4:38: services[0].discovery.consul: needs service, such as service: consul"
    ),
    (
      "{consul: {service: consul, name: a, tokenFile: \"\"}}",
      "4:76: services[0].discovery.consul.tokenFile: must be the path of a file"
    ),
    (
      "{kubernetes: {service: kube-api, name: a}}",
      "4:42: services[0].discovery.kubernetes: needs namespace, such as namespace: shop"
    ),
    (
      "{kubernetes: {service: kube-api, namespace: A, name: a}}",
      "4:73: services[0].discovery.kubernetes.namespace: \"A\" is no name of Kubernetes: a-z, 0-9 and dashes, at most 63"
    ),
    (
      "{kubernetes: {service: kube-api, namespace: a, name: a/b}}",
      "4:82: services[0].discovery.kubernetes.name: \"a/b\" is no name of Kubernetes: a-z, 0-9 and dashes, at most 63"
    ),
    (
      "{kubernetes: {service: kube-api, namespace: a, name: a, port: 70000}}",
      "4:91: services[0].discovery.kubernetes.port: is 70000; must be from 1 to 65535"
    ),
    (
      "{kubernetes: {service: kube-api, namespace: a, name: a, port: \"-\"}}",
      "4:91: services[0].discovery.kubernetes.port: \"-\" is no name of Kubernetes: a-z, 0-9 and dashes, at most 63"
    ),
    (
      "{consul: {service: consul, name: a}, etcd: {service: etcd, prefix: a}}",
      "4:38: services[0].discovery.consul: stands beside etcd; keep one of the two"
    ),
    (
      "{etcd: {service: etcd, prefix: a}, file: a}",
      "4:36: services[0].discovery.etcd: stands beside file; keep one of the two"
    ),
    (
      "{etcd: {service: etcd, prefix: a}, port: 1}",
      "4:70: services[0].discovery.port: belongs to dns, the name that is asked for"
    ),
    (
      "{etcd: {service: etdc, prefix: a}}",
      "4:46: services[0].discovery.etcd.service: there is no service \"etdc\"; did you mean etcd?"
    ),
    (
      "{etcd: {service: Etcd, prefix: a}}",
      "4:46: services[0].discovery.etcd.service: \"Etcd\" must be kebab-case: a-z, 0-9 and dashes"
    ),
    (
      "{etcd: {service: shop, prefix: a}}",
      "4:46: services[0].discovery.etcd.service: the service \"shop\" is found in a registry itself; one that is a registry needs endpoints, or discovery from dns or a file"
    ),
  ])
  func `what makes no sense is refused where it stands`(_ discovery: String, _ fault: String) {
    #expect(
      Self.faults("discovery: \(discovery)").contains(fault),
      "\(Self.faults("discovery: \(discovery)"))"
    )
  }

  @Test func `registries that wait for each other are refused`() {
    let faults = Self.faults(
      "discovery: {etcd: {service: other, prefix: a}}",
      others: ["name: other, discovery: {consul: {service: shop, name: a}}"]
    )

    #expect(faults.count == 2)
    #expect(faults.allSatisfy { $0.contains("is found in a registry itself") })
  }

  @Test
  func
    `who answers for a registry's endpoints over TLS is verified by a name of the configuration`()
  {
    let discovery = "discovery: {consul: {service: consul, name: a}}"
    #expect(
      Self.faults("\(discovery), protocol: https") == [
        "4:29: services[0].discovery: names of a registry are no proof of who answers; "
          + "say in tls.serverName or tls.names whom to verify"
      ]
    )
    for spoken in ["h2c", "https, tls: {serverName: a.test}", "https, tls: {insecure: true}"] {
      #expect(Self.faults("\(discovery), protocol: \(spoken)") == [])
    }
  }

  @Test(arguments: [
    ("10.0.0.1:80", "10.0.0.1"), ("[FD00:0::1]:80", "fd00::1"), ("A.Test:80", "a.test"),
    ("10.0.0.1", nil), ("10.0.0.1:0", nil), ("10.0.0.1:99999", nil), (":80", nil),
    ("fd00::1:80", nil), ("[10.0.0.1:80", nil), ("unix:/run/a", nil), ("a b:80", nil),
    ("a\u{0}:80", nil), ("10.0.0.1\u{0}x:80", nil), ("a/b:80", nil), ("http://a:80", nil),
    ("a@b:80", nil), ("a..b:80", nil), ("é.test:80", nil), ("a:+80", nil), ("a: 80", nil),
    ("\(String(repeating: "a", count: 64)):80", nil),
  ])
  func `addresses of registries are read as endpoints of configurations, sockets apart`(
    _ text: String,
    _ host: String?
  ) {
    let found = RegistryAddress.read(text)
    #expect(found?.host == host)
    #expect(found == nil || found?.port == 80)
  }
}
