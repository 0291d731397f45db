import Foundation
import Routing
import Testing
import Units

/// The documented order once more, as plainly as possible, against the table.
struct RouteTableDifferentialTests {
  @Test func `the table agrees with trying every rule in turn`() throws {
    var random = SplitMix64(seed: 42)
    var found = 0
    var disallowed = 0

    for _ in 0..<300 {
      let count = Int.random(in: 0...24, using: &random)
      // Priorities of their own keep random rules from being ambiguous.
      let priorities = Array(0..<count).shuffled(using: &random)
      let rules = priorities.enumerated().map { index, priority in
        Self.rule(index, priority: priority, using: &random)
      }
      let table = try RouteTable(rules: rules)
      for _ in 0..<60 {
        let probe = Self.probe(using: &random)
        let expected = Self.naive(rules, probe)
        let actual = probe.withRequest { table.find($0) }
        let explained = probe.withRequest { table.explain($0) }
        let winners = explained.filter { $0.verdict == .matched }.map(\.rule)

        switch actual {
        case .route(let index):
          found += 1
          #expect(expected == .route(index), "\(probe) in \(rules)")
          #expect(winners == [Int(index)])
        case .notFound:
          #expect(expected == .notFound, "\(probe) in \(rules)")
          #expect(winners == [])
        case .methodNotAllowed(let methods):
          disallowed += 1
          #expect(expected == .allowed(Set(table.names(of: methods))), "\(probe) in \(rules)")
          #expect(winners == [])
        }
        #expect(Set(explained.map(\.rule)).count == rules.count)
      }
    }
    #expect(found > 3_000 && disallowed > 200)
  }

  private enum Expected: Equatable {
    case route(Int32)
    case notFound
    case allowed(Set<String>)
  }

  private static func naive(_ rules: [RouteRule], _ probe: RouteProbe) -> Expected {
    let others = rules.indices.filter { holds(rules[$0], probe) }
    let matching = others.filter {
      rules[$0].methods.isEmpty || rules[$0].methods.contains(probe.method)
    }
    if let best = matching.max(by: { rank(rules[$0]).lexicographicallyPrecedes(rank(rules[$1])) }) {
      return .route(Int32(best))
    }
    return others.isEmpty ? .notFound : .allowed(Set(others.flatMap { rules[$0].methods }))
  }

  private static func rank(_ rule: RouteRule) -> [Int] {
    let host =
      switch rule.host {
      case .any: 0
      case .wildcard(let suffix): suffix.count
      case .exact: 1_000
      }
    let path =
      switch rule.path {
      case .any: 0
      case .regex: 1
      case .prefix(let prefix): 1 + prefix.count
      case .exact: 1_000
      }
    return [
      host, path, rule.methods.isEmpty ? 0 : 1, rule.headers.count, rule.query.count, rule.priority,
    ]
  }

  private static func holds(_ rule: RouteRule, _ probe: RouteProbe) -> Bool {
    let host = probe.host.lowercased()
    switch rule.host {
    case .any: break
    case .exact(let name): if host != name { return false }
    case .wildcard(let suffix):
      if !host.hasSuffix("." + suffix) || host.count == suffix.count + 1 { return false }
    }
    switch rule.path {
    case .any: break
    case .exact(let path): if probe.path != path { return false }
    case .prefix("/"): break
    case .prefix(let prefix):
      if probe.path != prefix, !probe.path.hasPrefix(prefix + "/") { return false }
    case .regex(let pattern):
      if probe.path.range(of: "^(?:\(pattern))$", options: .regularExpression) == nil {
        return false
      }
    }
    for condition in rule.headers {
      let values = probe.headers.filter { $0.name.lowercased() == condition.name }.map(\.value)
      if values.isEmpty { return false }
      if let value = condition.value, values.joined(separator: ", ") != value { return false }
    }
    for condition in rule.query {
      let parameters = probe.query.split(separator: "&").map { $0.split(separator: "=") }
      guard let first = parameters.first(where: { $0[0] == condition.name }) else { return false }
      if let value = condition.value, first[1] != value { return false }
    }
    return true
  }

  private static let hosts = [
    "a.com", "b.a.com", "c.b.a.com", "b.com", "long.name.example.com", "example.com",
  ]
  private static let segments = ["", "v1", "v2", "orders", "longersegment", "x"]

  private static func path(using random: inout SplitMix64) -> String {
    let count = Int.random(in: 1...4, using: &random)
    let parts = (0..<count).map { _ in segments.randomElement(using: &random) ?? "" }
    // Empty segments inside do not survive normalisation; one at the end does.
    return "/" + parts.dropLast().filter { !$0.isEmpty }.map { $0 + "/" }.joined()
      + (parts.last ?? "")
  }

  private static func rule(
    _ index: Int,
    priority: Int,
    using random: inout SplitMix64
  ) -> RouteRule {
    let host = hosts.randomElement(using: &random) ?? ""
    var path = path(using: &random)
    let pathPattern: PathPattern
    switch Int.random(in: 0..<6, using: &random) {
    case 0: pathPattern = .any
    case 1, 2: pathPattern = .exact(path)
    case 3, 4:
      while path.count > 1, path.hasSuffix("/") { path.removeLast() }
      pathPattern = .prefix(path)
    default:
      pathPattern = .regex(
        ["/v[12]/.*", "/[a-z]+", "/.*orders.*", "(/[^/]*)+x"].randomElement(using: &random) ?? "/"
      )
    }
    let methods = ["GET", "POST", "PURGE"].filter { _ in Int.random(in: 0..<4, using: &random) == 0
    }
    return RouteRule(
      name: "rule-\(index)",
      host: [.any, .exact(host), .wildcard(host)].randomElement(using: &random) ?? .any,
      path: pathPattern,
      methods: methods,
      headers: conditions(["x-a", "accept"], using: &random),
      query: conditions(["q"], using: &random),
      priority: priority
    )
  }

  private static func conditions(
    _ names: [String],
    using random: inout SplitMix64
  ) -> [FieldCondition] {
    names.compactMap { name in
      guard Int.random(in: 0..<4, using: &random) == 0 else { return nil }
      return FieldCondition(
        name: name,
        value: ["1", "2", "1, 2", nil].randomElement(using: &random) ?? nil
      )
    }
  }

  private static func probe(using random: inout SplitMix64) -> RouteProbe {
    let headers = (0..<Int.random(in: 0...3, using: &random)).map { _ in
      (
        name: ["X-A", "x-a", "Accept", "x-b"].randomElement(using: &random) ?? "",
        value: ["1", "2"].randomElement(using: &random) ?? ""
      )
    }
    let query = ["", "q=1", "q=2", "r=1&q=1", "q=2&q=1"].randomElement(using: &random) ?? ""
    let host = hosts.randomElement(using: &random) ?? ""
    return RouteProbe(
      method: ["GET", "POST", "PUT", "PURGE", "LOCK"].randomElement(using: &random) ?? "",
      host: Bool.random(using: &random) ? host : host.uppercased(),
      path: path(using: &random),
      query: query,
      headers: headers
    )
  }
}
