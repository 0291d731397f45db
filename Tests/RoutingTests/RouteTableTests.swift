import Routing
import Testing

struct RouteTableTests {
  /// The name of the rule that wins, `-` for none, or the allowed methods.
  private func find(_ rules: [RouteRule], _ probe: RouteProbe) throws -> String {
    let table = try RouteTable(rules: rules)
    switch probe.withRequest({ table.find($0) }) {
    case .route(let index): return rules[Int(index)].name
    case .notFound: return "-"
    case .methodNotAllowed(let methods):
      var out = [UInt8](repeating: 0, count: 200)
      let count = out.withUnsafeMutableBufferPointer { out in
        out.baseAddress.map { table.writeAllow(methods, into: $0, capacity: out.count) } ?? 0
      }
      return "allow " + String(decoding: out[..<count], as: UTF8.self)
    }
  }

  @Test func `Allow lists all methods that a table can name and is never cut`() throws {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
    let own = (0..<22).map { index in
      "M\(index)-" + String(repeating: "X", count: RouteTable.maximumMethodBytes - 4)
    }
    let rule = RouteRule(name: "a", path: .exact("/a"), methods: known + own)
    let table = try RouteTable(rules: [rule])
    let probe = RouteProbe(method: "BREW", path: "/a")
    guard case .methodNotAllowed(let methods) = probe.withRequest({ table.find($0) }) else {
      Issue.record("the method was allowed")
      return
    }
    let expected = (known + own).joined(separator: ", ")
    var out = [UInt8](repeating: 0, count: RouteTable.maximumAllowBytes)
    func write(_ capacity: Int) -> Int {
      out.withUnsafeMutableBufferPointer { out in
        out.baseAddress.map { table.writeAllow(methods, into: $0, capacity: capacity) } ?? -1
      }
    }

    #expect(write(expected.utf8.count - 1) == 0)
    #expect(write(expected.utf8.count) == expected.utf8.count)
    #expect(String(decoding: out[..<expected.utf8.count], as: UTF8.self) == expected)
  }

  @Test(
    arguments: [
      ("/v1", "v1"), ("/v1/", "v1"), ("/v1/x", "v1"), ("/v1x", "-"), ("/v", "-"), ("/", "-"),
      ("/v1/orders", "orders"), ("/v1/orders/", "orders"), ("/v1/orders/1/2/3", "orders"),
      ("/v1/ordersx", "v1"), ("/V1", "-"), ("/v1%2Forders", "-"), ("*", "-"),
    ]
  )
  func `a prefix ends at a segment`(path: String, expected: String) throws {
    let rules = [
      RouteRule(name: "v1", path: .prefix("/v1")),
      RouteRule(name: "orders", path: .prefix("/v1/orders/")),
    ]

    #expect(try find(rules, RouteProbe(path: path)) == expected)
  }

  @Test(
    arguments: [
      ("api.example.com", "exact"), ("API.Example.COM", "exact"), ("api.example.com.", "exact"),
      ("x.example.com", "wild"), ("a.b.example.com", "wild"), ("example.com", "rest"),
      (".example.com", "rest"), ("xexample.com", "rest"), ("z.eu.example.com", "eu"),
      ("eu.example.com", "wild"), ("a.b.eu.EXAMPLE.com", "eu"), ("", "rest"), (".", "rest"),
      ("com", "rest"), ("example.com.evil.org", "rest"), ("[::1]", "v6"), ("..", "rest"),
      ("api.example.com..", "rest"), ("api@example.com", "rest"), ("apiNexample.com", "rest"),
    ]
  )
  func `an exact host comes before the longest wildcard`(host: String, expected: String) throws {
    let rules = [
      RouteRule(name: "rest"),
      RouteRule(name: "wild", host: HostPattern("*.example.com")),
      RouteRule(name: "eu", host: HostPattern("*.EU.example.com.")),
      RouteRule(name: "exact", host: HostPattern("Api.example.com")),
      RouteRule(name: "v6", host: HostPattern("[::1]")),
    ]

    #expect(try find(rules, RouteProbe(host: host)) == expected)
  }

  @Test func `exact path, longest prefix, pattern, then any path`() throws {
    let rules = [
      RouteRule(name: "any"),
      RouteRule(name: "pattern", path: .regex("/[a-z]+/\\d+")),
      RouteRule(name: "prefix", path: .prefix("/users/1")),
      RouteRule(name: "exact", path: .exact("/users/1")),
    ]

    #expect(try find(rules, RouteProbe(path: "/users/1")) == "exact")
    #expect(try find(rules, RouteProbe(path: "/users/1/")) == "prefix")
    #expect(try find(rules, RouteProbe(path: "/users/2")) == "pattern")
    #expect(try find(rules, RouteProbe(path: "/users")) == "any")
    #expect(try find(rules, RouteProbe(method: "OPTIONS", path: "*")) == "any")
  }

  @Test func `a rule that fails later leaves the request to less specific ones`() throws {
    let host = HostPattern("api.example.com")
    let rules = [
      RouteRule(name: "exact", host: host, path: .exact("/v1/x"), methods: ["PUT"]),
      RouteRule(
        name: "prefix",
        host: host,
        path: .prefix("/v1"),
        headers: [FieldCondition(name: "x-beta", value: "1")]
      ),
      RouteRule(
        name: "wild",
        host: HostPattern("*.example.com"),
        query: [FieldCondition(name: "v", value: "2")]
      ),
      RouteRule(name: "rest", path: .prefix("/v1"), methods: ["GET"]),
    ]
    func request(_ method: String, _ query: String = "", _ beta: String? = nil) -> RouteProbe {
      RouteProbe(
        method: method,
        host: "api.example.com",
        path: "/v1/x",
        query: query,
        headers: beta.map { [("X-Beta", $0)] } ?? []
      )
    }

    #expect(try find(rules, request("PUT")) == "exact")
    #expect(try find(rules, request("POST", "v=2", "1")) == "prefix")
    #expect(try find(rules, request("POST", "v=2")) == "wild")
    #expect(try find(rules, request("GET")) == "rest")
    #expect(try find(rules, request("POST")) == "allow GET, PUT")
    #expect(try find(rules, request("PURGE")) == "allow GET, PUT")
  }

  @Test func `only rules that fail on nothing but the method are allowed`() throws {
    let rules = [
      RouteRule(name: "a", path: .exact("/a"), methods: ["PURGE", "DELETE"]),
      RouteRule(
        name: "b",
        path: .exact("/a"),
        methods: ["POST"],
        headers: [FieldCondition(name: "x")]
      ),
      RouteRule(name: "c", path: .regex("/b.*"), methods: ["PATCH"]),
    ]

    #expect(try find(rules, RouteProbe(path: "/a")) == "allow DELETE, PURGE")
    #expect(try find(rules, RouteProbe(method: "PURGE", path: "/a")) == "a")
    #expect(try find(rules, RouteProbe(method: "purge", path: "/a")) == "allow DELETE, PURGE")
    #expect(try find(rules, RouteProbe(path: "/b")) == "allow PATCH")
    #expect(try find(rules, RouteProbe(path: "/c")) == "-")
  }

  @Test(
    arguments: [
      ([("x-tier", "gold")], "gold"), ([("X-TIER", "gold")], "gold"), ([("x-tier", "Gold")], "-"),
      ([("x-tier", "gold"), ("x-tier", "silver")], "-"), ([("x-tier", "golden")], "-"),
      ([("x-tier", "")], "-"), ([("x-tie", "gold")], "-"), ([], "-"),
      ([("x-tier", "a"), ("y", "1"), ("x-tier", "b")], "both"), ([("x-tier", "a, b")], "both"),
      ([("User-Agent", "anything")], "agent"),
    ] as [([(String, String)], String)]
  )
  func `a header in several lines is one value`(
    headers: [(String, String)],
    expected: String
  ) throws {
    let rules = [
      RouteRule(name: "gold", headers: [FieldCondition(name: "X-Tier", value: "gold")]),
      RouteRule(name: "both", headers: [FieldCondition(name: "x-tier", value: "a, b")]),
      RouteRule(
        name: "agent",
        headers: [FieldCondition(name: "user-agent")],
        priority: -1
      ),
    ]

    let probe = RouteProbe(headers: headers.map { (name: $0.0, value: $0.1) })

    #expect(try find(rules, probe) == expected)
  }

  @Test(
    arguments: [
      ("v=2", "two"), ("a=1&v=2", "two"), ("v=%32", "two"), ("%76=2", "two"), ("v=2&v=3", "two"),
      ("v=3&v=2", "-"), ("v=22", "-"), ("v=", "-"), ("v", "-"), ("vv=2", "-"), ("V=2", "-"),
      ("&&v=2", "two"), ("v=2#", "-"), ("=2", "-"), ("q=a+b", "blank"), ("q=a%20b", "blank"),
      ("q=a%2", "-"), ("debug", "debug"), ("debug=", "debug"), ("x&debug=1", "debug"), ("", "-"),
      ("q=a b", "blank"), ("%", "-"), ("v=2;x", "-"),
    ]
  )
  func `a query parameter is compared decoded`(query: String, expected: String) throws {
    let rules = [
      RouteRule(name: "two", query: [FieldCondition(name: "v", value: "2")], priority: 3),
      RouteRule(name: "blank", query: [FieldCondition(name: "q", value: "a b")], priority: 2),
      RouteRule(name: "debug", query: [FieldCondition(name: "debug")], priority: 1),
    ]

    #expect(try find(rules, RouteProbe(query: query)) == expected)
  }

  @Test func `methods, headers, query and priority break ties in that order`() throws {
    let header = FieldCondition(name: "h")
    let query = FieldCondition(name: "q")
    let rules = [
      RouteRule(name: "plain", priority: 9),
      RouteRule(name: "urgent", priority: 10),
      RouteRule(name: "query", query: [query], priority: 8),
      RouteRule(name: "header", headers: [header], priority: 7),
      RouteRule(name: "method", methods: ["GET"], priority: -1),
    ]
    func name(_ method: String, _ query: String, _ headers: [(name: String, value: String)])
      throws -> String
    { try find(rules, RouteProbe(method: method, query: query, headers: headers)) }

    #expect(try name("GET", "q", [("h", "")]) == "method")
    #expect(try name("PUT", "q", [("h", "")]) == "header")
    #expect(try name("PUT", "q", []) == "query")
    #expect(try name("PUT", "", []) == "urgent")
  }

  @Test func `patterns are brought to the spelling of request paths`() throws {
    let rules = [
      RouteRule(name: "tilde", path: .exact("/%7Ejoe")),
      RouteRule(name: "coffee", path: .prefix("/café/a b")),
      RouteRule(name: "root", path: .prefix("/")),
    ]

    #expect(try find(rules, RouteProbe(path: "/~joe")) == "tilde")
    #expect(try find(rules, RouteProbe(path: "/caf%C3%A9/a%20b/c")) == "coffee")
    #expect(try find(rules, RouteProbe(path: "/else")) == "root")
    #expect(try find(rules, RouteProbe(path: "/")) == "root")
  }

  @Test func `an empty table finds nothing`() throws {
    #expect(try find([], RouteProbe(host: "a", path: "/a/b")) == "-")
  }

  @Test func `an attack that hides its path meets the same rule`() throws {
    let rules = [
      RouteRule(name: "admin", path: .prefix("/admin")),
      RouteRule(name: "open", path: .prefix("/")),
    ]

    for url in [
      "/admin", "//admin", "/x/../admin", "/%61dmin", "/x/%2e%2e/admin/", "/./admin",
      "http://h/admin?x", "http://h//admin",
    ] {
      #expect(try find(rules, try RouteProbe(method: "GET", url: url)) == "admin", "\(url)")
    }
  }
}
