import Configuration
import Glibc
import Routing
import Testing
import Units

@Suite struct SettingsTests {
  @Test func `the short forms read as written and the rest has defaults`() throws {
    let settings = try ConfigurationSource.parse(Self.rich, file: "x.yaml").settings

    #expect(settings.listeners.map(\.address) == [.ip("::", port: 8_080), .unix("/run/edge.sock")])
    #expect(settings.listeners[0].limits.bodyBytes == 1_572_864)
    #expect(settings.listeners[0].limits.headTimeout == .milliseconds(1_500))
    #expect(settings.listeners[0].trustedProxies == [CIDR(address: "10.0.0.0", prefix: 8)])
    #expect(settings.listeners[1].limits == ListenerSetting.Limits())
    #expect(settings.services[0].endpoints[1] == .host("shop.internal", port: 9_000))
    #expect(settings.routes[0].timeout == .milliseconds(1_500))
    #expect(settings.routes[0].classIndex == 0)
    #expect(settings.routes[1].classIndex == 2)
    #expect(settings.routes[1].action == .respond(.init(status: 410, body: "gone\n")))
    #expect(settings.routes.map(\.name) == ["orders", "legacy"])
  }

  @Test func `what is in effect reads back as itself`() throws {
    for text in [Self.rich, ConfigurationFaultTests.good] {
      let first = try ConfigurationSource.parse(text, file: "x.yaml").settings

      let second = try ConfigurationSource.parse(first.effectiveYAML(), file: "y.yaml").settings

      #expect(first == second)
    }
  }

  @Test func `a document in JSON is read too`() throws {
    let text = """
      {"listeners": [{"name": "a", "address": "127.0.0.1:0"}], "routes": [{"name": "b",
       "match": {}, "respond": {"status": 204}, "policies": {"auth": "none"}}]}
      """

    let loaded = try ConfigurationSource.parse(text, file: "x.json")

    #expect(loaded.settings.routes.count == 1)
  }

  @Test func `a few aliases stand for what they name`() throws {
    let text =
      ConfigurationFaultTests.good.replacing("{auth: none}", with: "&open {auth: none}")
      + "\n  - {name: b, match: {path: /b}, respond: {status: 204}, policies: *open}"

    let settings = try ConfigurationSource.parse(text, file: "x.yaml").settings

    #expect(settings.routes.map(\.isAuthStated) == [true, true])
  }

  @Test func `the checksum is the SHA-256 of the text`() throws {
    let loaded = try ConfigurationSource.parse(ConfigurationFaultTests.good, file: "x.yaml")

    #expect(loaded.checksum.hasPrefix("sha256:"))
    #expect(loaded.checksum.utf8.count == 71)
    #expect(loaded.version == 1)
  }

  @Test func `the last good copy comes back`() throws {
    var pattern = Array("/tmp/spillway-settings-XXXXXX".utf8CString)
    let made = mkdtemp(&pattern)
    try #require(made != nil)
    let directory = String(decoding: pattern.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    defer {
      unlink("\(directory)/\(ConfigurationSource.lastGoodName)")
      rmdir(directory)
    }
    let loaded = try ConfigurationSource.parse(ConfigurationFaultTests.good, file: "x.yaml")

    #expect(ConfigurationSource.lastGood(in: directory) == nil)
    #expect(ConfigurationSource.saveLastGood(loaded, in: directory) == nil)
    let back = ConfigurationSource.lastGood(in: directory)

    #expect(back?.settings == loaded.settings)
    #expect(back?.fromLastGood == true)
    #expect(back?.checksum == loaded.checksum)
  }

  static let rich = """
    environment: "a \\"b\\" \\\\ é"
    version: 7
    workers: 2
    stateDirectory: /tmp/x
    drain: {grace: 0s, deadline: 1.5s}
    admin: {address: 127.0.0.1:9901}
    accessLog: {output: "file:/tmp/a b.log", sample: {"2xx": 0.01, default: 1}}
    listeners:
      - name: public
        address: "[::]:8080"
        limits: {bodyBytes: 1.5MiB, headTimeout: 1500ms, minimumRate: 500B}
        connections: {maximum: 10, perAddress: 5}
        allow: [10.0.0.1]
        trustedProxies: [10.0.0.0/8]
        paths: {repeatedSlashes: keep, encodedSlash: keep}
      - {name: local, address: "unix:/run/edge.sock", exposure: internal}
    services:
      - name: shop
        protocol: http1
        endpoints: [10.0.0.1:9000, shop.internal:9000, "unix:/run/shop.sock"]
        balance: round-robin
        connections: {maximum: 10, idle: 1m, connectTimeout: 250ms}
      - name: calls
        protocol: h2c
        endpoints: [10.0.0.1:9001]
        connections: {maximum: 10, pingAfter: 20s, pingTimeout: 1500ms}
    routes:
      - name: orders
        match:
          host: "*.example.com"
          pathPrefix: /v1/orders
          methods: [GET, POST]
          headers: [{name: x-beta, value: "1"}, {name: x-any}]
          query: [{name: v, value: "2"}]
        class: critical
        priority: 3
        upstream: {service: shop, port: 9000}
        policies: {auth: none, timeoutMs: 1500, perTryTimeoutMs: 700}
      - name: legacy
        match: {host: api.example.com, pathRegex: "/v[0-9]+"}
        respond: {status: 410, body: "gone\\n"}
        policies: {auth: none}
    """
}
