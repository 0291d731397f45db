import Configuration
import Routing
import Testing

@Suite struct RoutePathTests {
  private static func text(_ policies: [String], path: String) -> String {
    let listeners = policies.enumerated().map { index, policy in
      "  - {name: l\(index), address: 127.0.0.1:0, paths: {\(policy)}}\n"
    }
    return "listeners:\n" + listeners.joined()
      + "routes: [{name: a, match: {path: \(path)}, respond: {status: 200}, policies: {auth: none}}]"
  }

  @Test(arguments: [
    (["repeatedSlashes: keep"], "/a//b"),
    (["repeatedSlashes: keep", "repeatedSlashes: refuse"], "/a//b"),
    (["repeatedSlashes: merge", "repeatedSlashes: refuse"], "/a//b"),
    (["repeatedSlashes: merge", "repeatedSlashes: keep"], "/a/b"),
    (["encodedSlash: keep"], "/a%2Fb"), (["encodedSlash: keep", "encodedSlash: refuse"], "/a%2Fb"),
  ])
  func `a path that some listener lets through is accepted`(
    policies: [String],
    path: String
  ) throws {
    _ = try ConfigurationSource.parse(Self.text(policies, path: path), file: "x.yaml")
  }

  @Test(arguments: [
    (["repeatedSlashes: refuse"], "/a//b", "path-repeated-slash"),
    (["repeatedSlashes: merge", "repeatedSlashes: keep"], "/a//b", "let the listeners agree"),
    (["encodedSlash: refuse", "repeatedSlashes: keep"], "/a%2Fb", "path-encoded-slash"),
  ])
  func `a path that no listener asks for, or not all alike, is refused`(
    policies: [String],
    path: String,
    says: String
  ) {
    let faults = ConfigurationFaultTests.faults(in: Self.text(policies, path: path))

    #expect(faults.map(\.line) == [policies.count + 2])
    #expect(faults.map(\.path) == ["routes[0].match.path"])
    #expect(faults.allSatisfy { $0.message.contains(says) }, "\(faults)")
  }
}
