import Configuration
import Testing

/// How fallbacks are written, and what of it is refused.
@Suite struct FallbackSettingTests {
  private static func parse(
    _ fallback: String,
    service: String = "breaker: {}"
  ) throws -> LoadedConfiguration {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints:",
      with: "  - {name: spare, endpoints: [127.0.0.1:9001]}\n"
        + "  - {name: inner, exposure: internal, endpoints: [127.0.0.1:9002]}\n"
        + "  - name: shop\(service.isEmpty ? "" : "\n    \(service)")\n    endpoints:"
    )
    .replacing("{service: shop}", with: "{service: shop, fallback: \(fallback)}")
    return try ConfigurationSource.parse(text, file: "x.yaml")
  }

  @Test func `a fallback is a service or an answer`() throws {
    let service = try Self.parse("{service: spare, port: 9001}").settings.routes[0]
    #expect(service.fallback == .service("spare", port: 9_001))
    let answer = try Self.parse("{respond: {status: 503, body: later}}").settings.routes[0]
    #expect(answer.fallback == .respond(RouteSetting.Response(status: 503, body: "later")))
  }

  @Test(arguments: [
    "{service: spare}", "{service: spare, port: 9001}", "{respond: {status: 204}}",
    "{respond: {status: 200, body: \"a b\", headers: [{name: x-a, value: b}]}}",
  ])
  func `what is written reads back from what is in effect`(_ fallback: String) throws {
    let loaded = try Self.parse(fallback)
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")
    #expect(loaded.settings.routes[0].fallback != nil)
    #expect(back.settings.routes == loaded.settings.routes)
  }

  @Test(arguments: [
    ("{}", "breaker: {}", "routes[0].upstream.fallback", "needs the name of a service"),
    ("spare", "breaker: {}", "routes[0].upstream.fallback", "must be a map"),
    (
      "{service: spare, respond: {status: 200}}", "breaker: {}",
      "routes[0].upstream.fallback.respond", "not both"
    ),
    ("{service: shop}", "breaker: {}", "routes[0].upstream.fallback", "stand in for itself"),
    ("{service: spar}", "breaker: {}", "routes[0].upstream.fallback", "did you mean spare?"),
    ("{service: inner}", "breaker: {}", "routes[0].upstream.fallback", "is internal"),
    ("{service: spare, port: 1}", "breaker: {}", "routes[0].upstream.fallback", "has port 1"),
    (
      "{service: spare, fallback: {service: shop}}", "breaker: {}",
      "routes[0].upstream.fallback.fallback", "none of its own"
    ),
    (
      "{respond: {status: 200}, port: 80}", "health: {}", "routes[0].upstream.fallback.port",
      "belongs to a service"
    ),
    ("{respond: {}}", "health: {}", "routes[0].upstream.fallback.respond", "needs a status"),
    ("{service: spare}", "", "routes[0].upstream.fallback", "neither breaker nor health"),
  ])
  func `what makes no sense is refused where it stands`(
    _ fallback: String,
    _ service: String,
    _ path: String,
    _ says: String
  ) throws {
    let error = try #require(throws: ConfigurationError.self) {
      try Self.parse(fallback, service: service)
    }
    let fault = try #require(error.faults.first)
    #expect(fault.path == path)
    #expect(fault.message.contains(says), "\(fault.message)")
    #expect(fault.line > 1 && fault.column > 1)
  }
}
