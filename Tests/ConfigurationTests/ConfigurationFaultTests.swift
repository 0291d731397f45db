import Configuration
import Testing

@Suite struct ConfigurationFaultTests {
  /// A good file; each test spoils one line of it.
  static let good = """
    environment: test
    listeners:
      - name: public
        address: 127.0.0.1:8080
    services:
      - name: shop
        endpoints: [127.0.0.1:9000]
    routes:
      - name: shop
        match: {host: shop.example.com, pathPrefix: /v1}
        upstream: {service: shop}
        policies: {auth: none}
    """

  struct Bad: Sendable, CustomTestStringConvertible {
    /// What one line of the good file, from 1, becomes.
    var line: Int
    var text: String
    /// `line:column: path` of the fault.
    var place: String
    /// Part of the message.
    var says: String

    init(_ line: Int, _ text: String, _ place: String, _ says: String) {
      self.line = line
      self.text = text
      self.place = place
      self.says = says
    }

    var testDescription: String { text }
  }

  static let table: [Bad] = [
    Bad(1, "enviroment: test", "1:1: enviroment", "did you mean environment?"),
    Bad(1, "identity: {}", "1:1: identity", "not available in this version"),
    Bad(1, "workers: 0", "1:10: workers", "from 1 to"),
    Bad(1, "workers: many", "1:10: workers", "whole number"),
    Bad(1, "drain: {grace: soon}", "1:16: drain.grace", "250ms"),
    Bad(1, "drain: {grace: 5}", "1:16: drain.grace", "250ms"),
    Bad(1, "admin: {address: 0.0.0.0:9901}", "1:18: admin.address", "loopback"),
    Bad(1, "classes: [Critical]", "1:11: classes[0]", "kebab-case"),
    Bad(1, "classes: []", "1:10: classes", "1 to 8"),
    Bad(1, "accessLog: {output: stderr}", "1:21: accessLog.output", "stdout"),
    Bad(1, "accessLog: {sample: {6xx: 1}}", "1:22: accessLog.sample.6xx", "404"),
    Bad(1, "accessLog: {sample: {2xx: 2}}", "1:27: accessLog.sample.2xx", "from 0 to 1"),
    Bad(1, "accessLog: {sample: {0404: 1}}", "1:22: accessLog.sample.0404", "404"),
    Bad(
      1,
      "accessLog: {sample: {404: 1, \"404\": 0}}",
      "1:30: accessLog.sample.404",
      "given twice"
    ),
    Bad(1, "drain: {grace: 1s, !x grace: 2s}", "1:20: drain.grace", "given twice"),
    Bad(1, "environment: test\nenvironment: x", "1:1: ", "given twice"),
    Bad(3, "  - name: Public", "3:11: listeners[0].name", "kebab-case"),
    Bad(4, "    address: localhost:8080", "4:14: listeners[0].address", "IP address"),
    Bad(4, "    address: 127.0.0.1:80800", "4:14: listeners[0].address", "IP address"),
    Bad(4, "    address: 127.0.0.1:9901", "4:14: listeners[0].address", "the admin server"),
    Bad(
      4,
      "    address: 127.0.0.1:1\n    proxyProtocol: required",
      "5:20: listeners[0].proxyProtocol",
      "needs trustedProxies"
    ),
    Bad(
      4,
      "    address: 127.0.0.1:1\n    proxyProtocol: optional\n    trustedProxies: []",
      "5:20: listeners[0].proxyProtocol",
      "needs trustedProxies"
    ),
    Bad(
      4,
      "    address: 127.0.0.1:1\n    proxyProtocol: always\n    trustedProxies: [10.0.0.0/8]",
      "5:20: listeners[0].proxyProtocol",
      "off, optional, required"
    ),
    Bad(
      4,
      "    address: 127.0.0.1:1\n    proxyProtocol: required\n    trustedProxies: [0.0.0.0/0]",
      "6:21: listeners[0].trustedProxies",
      "name the balancers"
    ),
    Bad(
      4,
      "    address: 127.0.0.1:1\n    allow: [10.0.0.0/33]",
      "5:13: listeners[0].allow[0]",
      "10.0.0.0/8"
    ),
    Bad(
      4,
      "    address: 127.0.0.1:1\n    limits: {headBytes: 17KiB}",
      "5:25: listeners[0].limits.headBytes",
      "16384"
    ),
    Bad(
      4,
      "    address: 127.0.0.1:1\n    paths: {encodedSlash: merge}",
      "5:27: listeners[0].paths.encodedSlash",
      "refuse, keep"
    ),
    Bad(
      4,
      "    address: 127.0.0.1:1\n  - {name: public, address: 127.0.0.1:2}",
      "5:12: listeners[1].name",
      "line 3"
    ),
    Bad(10, "    match: {path: /a%2Fb}", "10:19: routes[0].match.path", "path-encoded-slash"),
    Bad(6, "  - name: store", "11:15: routes[0].upstream", "no service \"shop\""),
    Bad(7, "    endpoints: []", "7:16: services[0].endpoints", "at least one"),
    Bad(
      7,
      "    endpoints: [Shop.internal:1, \"[::1]:1\", shop.internal:2, \"[0:0::1]:1\"]",
      "7:62: services[0].endpoints[3]",
      "stands in line 7 already"
    ),
    Bad(
      7,
      "    endpoints: [Shop.internal:1, shop.internal:1]",
      "7:34: services[0].endpoints[1]",
      "stands in line 7 already"
    ),
    Bad(7, "    endpoints: [shop]", "7:17: services[0].endpoints[0]", "port"),
    Bad(
      7,
      "    endpoints: [a:1]\n    exposure: internal",
      "12:15: routes[0].upstream",
      "internal"
    ),
    Bad(7, "    endpoints: [a:1]\n    protocol: h3", "8:15: services[0].protocol", "h2c"),
    Bad(
      7,
      "    endpoints: [a:1]\n    protocol: https\n    connections: {pingAfter: 1s}",
      "9:30: services[0].connections.pingAfter",
      "services of HTTP/2"
    ),
    Bad(
      7,
      "    endpoints: [a:1]\n    connections: {pingAfter: 1s}",
      "8:30: services[0].connections.pingAfter",
      "services of HTTP/2"
    ),
    Bad(
      7,
      "    endpoints: [a:1]\n    protocol: h2c\n    connections: {pingTimeout: 0s}",
      "9:32: services[0].connections.pingTimeout",
      "1ms"
    ),
    Bad(
      7,
      "    endpoints: [a:1]\n    balance: ringhash",
      "8:14: services[0].balance",
      "must be p2c, round-robin, least-requests, ring-hash"
    ),
    Bad(
      7,
      "    endpoints: [a:1]\n    breaker: {open: 0s}",
      "8:21: services[0].breaker.open",
      "1ms"
    ),
    Bad(10, "    match: {host: \"*\", path: v1}", "10:30: routes[0].match.path", "begins with /"),
    Bad(10, "    match: {methods: [get]}", "10:23: routes[0].match.methods[0]", "GET"),
    Bad(10, "    match: {pathRegex: \"/(\"}", "10:24: routes[0].match.pathRegex", ""),
    Bad(10, "    match: {host: *.example.com}", "10:20: ", "needs quotes"),
    Bad(11, "    upstream: {service: shop, port: 1}", "11:15: routes[0].upstream", "port 1"),
    Bad(
      11,
      "    upstream: {service: shop, splits: []}",
      "11:31: routes[0].upstream.splits",
      "not available in this version"
    ),
    Bad(11, "    respond: {status: 199}", "11:23: routes[0].respond.status", "from 200 to 599"),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: x, value: \"a\\r\\nb: c\"}]}",
      "11:55: routes[0].respond.headers[0].value",
      "control characters"
    ),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: \"a b\", value: c}]}",
      "11:45: routes[0].respond.headers[0].name",
      "no field name"
    ),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: Transfer-Encoding, value: x}]}",
      "11:45: routes[0].respond.headers[0].name",
      "set by the edge"
    ),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: keep-alive, value: x}]}",
      "11:45: routes[0].respond.headers[0].name",
      "set by the edge"
    ),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: TE, value: x}]}",
      "11:45: routes[0].respond.headers[0].name",
      "set by the edge"
    ),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: trailer, value: x}]}",
      "11:45: routes[0].respond.headers[0].name",
      "set by the edge"
    ),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: upgrade, value: x}]}",
      "11:45: routes[0].respond.headers[0].name",
      "set by the edge"
    ),
    Bad(
      11,
      "    respond: {status: 200, headers: [{name: x, value: \"a\\0b\"}]}",
      "11:55: routes[0].respond.headers[0].value",
      "control characters"
    ),
    Bad(
      11,
      "    respond: {status: 200, body: \(String(repeating: "x", count: 12_200)), headers: ["
        + "\(String(repeating: "{name: n, value: \(String(repeating: "v", count: 500))},", count: 7))]}",
      "11:14: routes[0].respond",
      "15735 bytes of body and headers"
    ),
    Bad(12, "    class: normal", "9:11: routes[0].name", "must say auth"),
    Bad(12, "    policies: {auth: required}", "12:22: routes[0].policies.auth", "not available"),
    Bad(
      12,
      "    policies: {auth: none, timeoutMs: 30001}",
      "12:39: routes[0].policies.timeoutMs",
      "30s"
    ),
    Bad(
      12,
      "    policies: {auth: none, timeoutMs: 100, perTryTimeoutMs: 200}",
      "12:61: routes[0].policies.perTryTimeoutMs",
      "longer than"
    ),
    Bad(
      12,
      "    policies: {auth: none, rateLimit: some}",
      "12:28: routes[0].policies.rateLimit",
      "not available in this version"
    ),
    Bad(
      12,
      """
          policies: {auth: none}
        - name: again
          match: {host: shop.example.com, pathPrefix: /v1/}
          respond: {status: 200}
          policies: {auth: none}
      """,
      "14:12: routes[1].match",
      "nothing decides"
    ),
  ]

  @Test func `the good file is good`() throws {
    _ = try ConfigurationSource.parse(Self.good, file: "x.yaml")
  }

  @Test(arguments: table)
  func `a fault names its place and what would be right`(_ bad: Bad) {
    var lines = Self.good.split(separator: "\n").map(String.init)
    lines[bad.line - 1] = bad.text

    let faults = Self.faults(in: lines.joined(separator: "\n"))

    let places = faults.map { "\($0.line):\($0.column): \($0.path)" }
    #expect(places.contains(bad.place), "\(faults)")
    #expect(faults.contains { $0.message.contains(bad.says) }, "\(faults)")
  }

  @Test func `all faults come at once in the order of their places`() {
    let text = Self.good.replacing("127.0.0.1:8080", with: "here")
      .replacing("auth: none", with: "auth: none, timeoutMs: no")
      .replacing("environment", with: "enviroment")

    let faults = Self.faults(in: text)

    #expect(faults.map(\.line) == [1, 4, 12])
  }

  @Test func `an entry that lacks what it needs is judged in all its other parts`() {
    let text = """
      environment: test
      listeners:
        - {address: 127.0.0.1:8080, exposure: hidden, limits: {headers: none}}
        - {name: b, h2: {maximumStreams: no}}
      services:
        - {name: orders, balance: best, connections: {idle: soon}}
      routes:
        - {name: a, class: royal, policies: {auth: none, timeoutMs: no}}
        - {match: {path: relative}, priority: high, upstream: {service: orders}}

      """

    let faults = Self.faults(in: text).map { "\($0.line): \($0.path)" }

    for fault in [
      "3: listeners[0]", "3: listeners[0].exposure", "3: listeners[0].limits.headers",
      "4: listeners[1]", "4: listeners[1].h2.maximumStreams",
      "6: services[0]", "6: services[0].balance", "6: services[0].connections.idle",
      "8: routes[0]", "8: routes[0].class", "8: routes[0].policies.timeoutMs",
      "9: routes[1]", "9: routes[1].priority",
    ] {
      #expect(faults.contains(fault), "\(fault) is missing in \(faults)")
    }
    // The service is there, whatever is wrong with it.
    #expect(!faults.contains { $0.hasSuffix("upstream.service") || $0.hasSuffix("upstream") })
  }

  @Test func `more than the tables of the process hold is refused where it begins`() {
    let listeners = (0..<257).map { "  - {name: l\($0), address: 127.0.0.1:0}\n" }
    let lists = (0..<4_097).map { service in
      service > 7 ? "a:1" : (1...4_096).map { "a:\($0)" }.joined(separator: ", ")
    }
    let services = lists.enumerated().map { "  - {name: s\($0), endpoints: [\($1)]}\n" }
    let text =
      "listeners:\n" + listeners.joined() + "services:\n" + services.joined()
      + "routes: [{name: a, match: {}, respond: {status: 200}, policies: {auth: none}}]\n"

    let faults = Self.faults(in: text)

    #expect(
      faults.map { "\($0.line):\($0.column): \($0.path)" } == [
        "258:12: listeners[256].name", "268:28: services[8].endpoints[0]",
        "4356:12: services[4096].name",
      ]
    )
    #expect(faults.map(\.message).allSatisfy { $0.contains("at most") }, "\(faults)")
  }

  static func faults(in text: String) -> [Fault] {
    do {
      _ = try ConfigurationSource.parse(text, file: "x.yaml")
      return []
    } catch {
      return error.faults
    }
  }
}
