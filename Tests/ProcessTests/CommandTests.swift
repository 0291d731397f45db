import Foundation
import Testing

/// Commands that read a configuration and say something about it.
@Suite(.serialized)
struct CommandTests {
  private static let text = """
    environment: test
    listeners:
      - {name: public, address: 127.0.0.1:8080}
      - {name: strict, address: 127.0.0.1:8081, paths: {repeatedSlashes: keep}}
    services:
      - {name: orders, endpoints: [127.0.0.1:9000], balance: round-robin, retryBudget: {ratio: 0.1}}
    routes:
      - name: beta
        match: {pathPrefix: /v1, headers: [{name: x-beta, value: "1"}]}
        respond: {status: 410, body: "gone\\n"}
        policies: {auth: none}
      - name: orders
        match: {pathPrefix: /v1}
        class: critical
        upstream: {service: orders}
        policies: {auth: none, timeoutMs: 750, perTryTimeoutMs: 300, retryOn: [reset, 503, {header: x-a}]}

    """

  private func with(_ text: String, _ body: (String) throws -> Void) throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).yaml")
    try text.write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    try body(file.path)
  }

  @Test func `route says which route a request takes, with what, and why not the others`() throws {
    try with(Self.text) { file in
      let url = "http://api.test/v1//orders"
      let plain = try RunningEdge.output(of: ["route", file, "GET", url])
      #expect(plain.code == 0)
      for line in [
        "GET api.test /v1/orders", "route    orders", "class    critical", "balance  round-robin",
        "timeout  750 ms, 300 ms for each attempt", "127.0.0.1:9000", "beta",
        "retries  1 on reset, 503, header x-a; idempotent methods, others with an Idempotency-Key",
        "at most 0.1 of the service's requests and 10 a second",
      ] { #expect(plain.text.contains(line), "\(line) is missing in\n\(plain.text)") }

      let beta = try RunningEdge.output(of: ["route", file, "GET", url, "-H", "X-Beta: 1"])
      #expect(beta.code == 0)
      #expect(beta.text.contains("route    beta"))
      #expect(beta.text.contains("answers  410, 5 bytes"))

      let kept = try RunningEdge.output(of: ["route", file, "GET", url, "--listener", "strict"])
      #expect(kept.text.contains("GET api.test /v1//orders"))
    }
  }

  @Test func `route fails where no route matches or the edge would refuse`() throws {
    try with(Self.text) { file in
      let none = try RunningEdge.output(of: ["route", file, "GET", "http://api.test/v2"])
      #expect(none.code == 1)
      #expect(none.text.contains("no route matches"))
      let escaped = try RunningEdge.output(of: ["route", file, "GET", "http://api.test/a%00"])
      #expect(escaped.code == 1)
      #expect(escaped.text.contains("refused with 400"))
      let tunnel = try RunningEdge.output(of: ["route", file, "CONNECT", "http://api.test/v1"])
      #expect(tunnel.code == 1)
      #expect(tunnel.text.contains("refused with 501"))
      let other = try RunningEdge.output(of: ["route", file, "GET", "/v1", "--listener", "pubic"])
      #expect(other.code == 1)
      #expect(other.text.contains("there is no listener \"pubic\"; did you mean public?"))
    }
  }

  @Test func `the environment names the zone where the file does not`() throws {
    func effective(_ file: String, _ zone: String) throws -> (text: String, code: Int32) {
      try RunningEdge.output(
        of: ["check", "--effective", file],
        environment: ["SPILLWAY_ZONE": zone]
      )
    }
    try with(Self.text) { file in
      #expect(try effective(file, "eu-1a").text.contains("zone: \"eu-1a\""))
      #expect(try !effective(file, "").text.contains("zone:"))
      let bad = try effective(file, "a b")
      #expect(bad.code != 0 && bad.text.contains("SPILLWAY_ZONE is no name of a zone"))
    }
    try with("zone: written\n" + Self.text) { file in
      let text = try effective(file, "eu-1a").text
      #expect(text.contains("zone: \"written\""))
    }
  }

  @Test func `check says yes, or every fault with its place`() throws {
    try with(Self.text) { file in
      #expect(try RunningEdge.output(of: ["check", file]).code == 0)
      let effective = try RunningEdge.output(of: ["check", "--effective", file])
      #expect(effective.code == 0)
      // What was not written stands there, too; and all of it reads back as itself.
      #expect(effective.text.contains("requestsPerConnection: 100000"))
      try with(effective.text) { copy in
        let again = try RunningEdge.output(of: ["check", "--effective", copy])
        #expect(again.text == effective.text)
      }
    }
    try with("enviroment: test\nworkers: none\n") { file in
      let bad = try RunningEdge.output(of: ["check", file])
      #expect(bad.code != 0)
      #expect(bad.text.contains("\(file):1:1"))
      #expect(bad.text.contains("did you mean environment?"))
      #expect(bad.text.contains("\(file):2:10"))
    }
  }
}
