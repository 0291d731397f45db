import Routing
import Testing

struct RouteConflictTests {
  private func describe(_ rules: [RouteRule]) -> [String] {
    RouteTable.conflicts(in: rules).map {
      "\($0.kind) \(rules[$0.rule].name) \(rules[$0.other].name)"
    }
  }

  @Test func `equal places and ranks that can meet are ambiguous`() {
    let pairs: [(RouteRule, RouteRule)] = [
      (RouteRule(name: "a", path: .prefix("/v1")), RouteRule(name: "b", path: .prefix("/v1/"))),
      (RouteRule(name: "a", host: .exact("H.com")), RouteRule(name: "b", host: .exact("h.com."))),
      (
        RouteRule(name: "a", path: .exact("/a"), methods: ["GET", "PUT"]),
        RouteRule(name: "b", path: .exact("/%61"), methods: ["PUT", "POST"])
      ),
      (
        RouteRule(name: "a", headers: [FieldCondition(name: "x", value: "1")]),
        RouteRule(name: "b", headers: [FieldCondition(name: "y", value: "2")])
      ),
      (
        RouteRule(name: "a", headers: [FieldCondition(name: "x", value: "1")]),
        RouteRule(name: "b", headers: [FieldCondition(name: "X")])
      ),
      (
        RouteRule(name: "a", path: .regex("/a.*")),
        RouteRule(name: "b", path: .regex("/[a-c]+x"))
      ),
      (
        RouteRule(name: "a", path: .regex("/(a|b)*a(a|b){14}")),
        RouteRule(name: "b", path: .regex("/c"))
      ),
    ]

    for (a, b) in pairs {
      #expect(describe([a, b]) == ["ambiguous b a"], "\(a) \(b)")
      let error = #expect(throws: RouteTableError.self) { try RouteTable(rules: [a, b]) }
      #expect(error?.rule == 1 && error?.other == 0)
      #expect(error?.message.contains("a") == true && error?.message.contains("b") == true)
    }
  }

  @Test func `rules that exclude each other or differ in rank are no conflict`() throws {
    let groups: [[RouteRule]] = [
      [RouteRule(name: "a", methods: ["GET"]), RouteRule(name: "b", methods: ["PUT"])],
      [RouteRule(name: "a", methods: ["GET"]), RouteRule(name: "b")],
      [RouteRule(name: "a", path: .prefix("/v1")), RouteRule(name: "b", path: .exact("/v1"))],
      [
        RouteRule(name: "a", host: HostPattern("*.a.com")),
        RouteRule(name: "b", host: HostPattern("a.com")), RouteRule(name: "c"),
      ],
      [
        RouteRule(name: "a", headers: [FieldCondition(name: "x", value: "1")]),
        RouteRule(name: "b", headers: [FieldCondition(name: "x", value: "2")]),
        RouteRule(name: "c", query: [FieldCondition(name: "x", value: "2")]),
      ],
      [
        RouteRule(name: "a", path: .regex("/users/\\d+")),
        RouteRule(name: "b", path: .regex("/users/[a-z]+")),
        RouteRule(name: "c", path: .regex("/orders/.*")),
        RouteRule(name: "d", path: .prefix("/users/x")),
      ],
      [
        RouteRule(name: "a", path: .regex("/users?/x")),
        RouteRule(name: "b", path: .prefix("/user")),
      ],
    ]

    for rules in groups {
      #expect(describe(rules) == [])
      #expect(throws: Never.self) { try RouteTable(rules: rules) }
    }
  }

  @Test func `a rule that can never win is shadowed`() {
    let get = ["GET"]
    let beta = [FieldCondition(name: "x-beta", value: "1")]
    let groups: [([RouteRule], [String])] = [
      ([RouteRule(name: "a", priority: 1), RouteRule(name: "b")], ["shadowed b a"]),
      (
        [
          RouteRule(name: "low", methods: ["GET", "PUT"]),
          RouteRule(name: "g", methods: get, priority: 2),
          RouteRule(name: "p", methods: ["PUT"], priority: 1),
        ],
        ["shadowed low g"]
      ),
      (
        [
          RouteRule(name: "low", methods: ["GET", "PUT"]),
          RouteRule(name: "g", methods: get, priority: 2),
        ],
        []
      ),
      (
        [RouteRule(name: "p", path: .prefix("/v1")), RouteRule(name: "r", path: .regex("/v1/.*"))],
        ["shadowed r p"]
      ),
      (
        [
          RouteRule(name: "p", path: .prefix("/v1")),
          RouteRule(name: "r", path: .regex("/v1(/x)?")),
        ],
        ["shadowed r p"]
      ),
      (
        [RouteRule(name: "p", path: .prefix("/v1")), RouteRule(name: "r", path: .regex("/v1.*"))],
        []
      ),
      (
        [
          RouteRule(name: "p", path: .prefix("/v1"), headers: beta),
          RouteRule(name: "r", path: .regex("/v1/.*")),
        ],
        []
      ),
      (
        [
          RouteRule(name: "p", path: .prefix("/v1"), headers: [FieldCondition(name: "x-beta")]),
          RouteRule(name: "r", path: .regex("/v1/.*"), methods: get, headers: beta),
        ],
        ["shadowed r p"]
      ),
      (
        [RouteRule(name: "any"), RouteRule(name: "root", path: .prefix("/"))], ["shadowed any root"]
      ),
      ([RouteRule(name: "any"), RouteRule(name: "re", path: .regex("/.*"))], ["shadowed any re"]),
      ([RouteRule(name: "any"), RouteRule(name: "re", path: .regex("/.+"))], []),
    ]

    for (rules, expected) in groups { #expect(describe(rules) == expected, "\(rules)") }
  }

  @Test func `ten thousand rules are checked, on many places and on few`() throws {
    let spread = (0..<10_000).map {
      RouteRule(
        name: "r\($0)",
        host: .exact("h\($0 % 100).com"),
        path: .prefix("/v1/service-\($0)/items")
      )
    }
    let crowded = (0..<10_000).map {
      RouteRule(
        name: "c\($0)",
        path: .exact("/p\($0 / 250)"),
        headers: [FieldCondition(name: "x-tenant", value: "t\($0)")]
      )
    }
    let rules = spread + crowded

    #expect(describe(rules) == [])
    let table = try RouteTable(rules: rules)
    for index in stride(from: 0, to: 10_000, by: 997) {
      let deep = RouteProbe(host: "h\(index % 100).com", path: "/v1/service-\(index)/items/4")
      let tenant = RouteProbe(path: "/p\(index / 250)", headers: [("x-tenant", "t\(index)")])
      #expect(deep.withRequest { table.find($0) } == .route(Int32(index)))
      #expect(tenant.withRequest { table.find($0) } == .route(Int32(10_000 + index)))
    }
  }

  @Test func `too many rules on one place are refused`() {
    let rules = (0...RouteTable.maximumRulesPerPlace).map {
      RouteRule(name: "r\($0)", headers: [FieldCondition(name: "x", value: "\($0)")])
    }

    #expect(RouteTable.faults(in: Array(rules.dropLast())).isEmpty)
    #expect(RouteTable.faults(in: rules).map(\.rule) == [RouteTable.maximumRulesPerPlace])
  }
}
