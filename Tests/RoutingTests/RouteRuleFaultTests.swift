import Routing
import Testing

struct RouteRuleFaultTests {
  @Test func `every fault of every rule is named with its part`() {
    let rules = [
      RouteRule(name: "a", host: HostPattern("a.*.com"), path: .exact("v1"), methods: ["get"]),
      RouteRule(name: "b", host: HostPattern("a.com:80"), path: .prefix("/a/../..")),
      RouteRule(name: "c", host: HostPattern("a..com"), path: .regex("/(a")),
      RouteRule(name: "d", host: HostPattern("é.com"), path: .regex("a/b")),
      RouteRule(
        name: "e",
        host: HostPattern(""),
        methods: ["GET", "GET", "A B", String(repeating: "X", count: 33)]
      ),
      RouteRule(
        name: "f",
        headers: [
          FieldCondition(name: "x y"), FieldCondition(name: "z", value: " 1"),
          FieldCondition(name: "Z"),
        ],
        query: [FieldCondition(name: "")]
      ),
      RouteRule(name: "g", host: HostPattern("*."), path: .exact("/a%2Fb")),
      RouteRule(name: "h", host: HostPattern("[::1]:80")),
      RouteRule(name: "fine", host: HostPattern("a_b.example.com"), path: .prefix("/a;b")),
    ]

    let faults = RouteTable.faults(in: rules)

    #expect(
      faults.map { "\(rules[$0.rule].name) \($0.part) \($0.item ?? -1) \($0.column ?? -1)" } == [
        "a host -1 -1", "a path -1 1", "a methods 0 -1", "b host -1 -1", "b pathPrefix -1 -1",
        "c host -1 -1", "c pathRegex -1 2", "d host -1 -1", "d pathRegex -1 1", "e host -1 -1",
        "e methods 1 -1", "e methods 2 -1", "e methods 3 -1", "f headers 0 -1", "f headers 1 -1",
        "f headers 2 -1",
        "f query 0 -1", "g host -1 -1", "g path -1 -1", "h host -1 -1",
      ]
    )
    #expect(faults.first { $0.part == .methods }?.message.contains("write GET") == true)
    #expect(throws: RouteTableError.self) { try RouteTable(rules: rules) }
  }
}
