import Routing
import Testing

struct RouteExplainTests {
  @Test func `every rule gets its verdict, in the order of consideration`() throws {
    let rules = [
      RouteRule(name: "rest"),
      RouteRule(
        name: "beta",
        path: .prefix("/v1"),
        headers: [FieldCondition(name: "x-beta", value: "1")]
      ),
      RouteRule(name: "plain", path: .prefix("/v1")),
      RouteRule(name: "writes", path: .exact("/v1/a"), methods: ["POST", "PUT"]),
      RouteRule(name: "other", host: HostPattern("other.com")),
      RouteRule(name: "wild", host: HostPattern("*.com"), query: [FieldCondition(name: "q")]),
      RouteRule(name: "re", path: .regex("/\\d+")),
    ]
    let table = try RouteTable(rules: rules)
    let probe = try RouteProbe(
      method: "GET",
      url: "http://a.com:80/v1//a?v=1",
      headers: [("X-Beta", "2")]
    )

    let lines = probe.withRequest { table.explain($0) }.map { "\($0.name): \($0.verdict)" }

    #expect(
      lines == [
        "other: host is not other.com",
        "wild: query parameter q is missing",
        "writes: method is not one of POST, PUT",
        "beta: header x-beta is \"2\", not \"1\"",
        "plain: matched",
        "re: path is not like /\\d+",
        "rest: matches, but ranks lower: plain has the more specific path",
      ]
    )
  }

  @Test func `a probe reads URLs as the wire would`() throws {
    let probe = try RouteProbe(
      method: "GET",
      url: "https://[::1]:8443?q=1#f",
      headers: [("Host", "ignored")]
    )
    let plain = try RouteProbe(method: "GET", url: "/a", headers: [("Host", "b.com:81")])

    #expect(probe.host == "[::1]" && probe.path == "/" && probe.query == "q=1")
    #expect(plain.host == "b.com")
    #expect(throws: PathFault.aboveRoot) { try RouteProbe(method: "GET", url: "/../a") }
  }
}
