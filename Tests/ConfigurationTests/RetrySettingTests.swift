import Configuration
import Routing
import Testing
import Units

/// How retries and their budget are written, and what of it is refused.
@Suite struct RetrySettingTests {
  private static func parse(
    policies: String = "",
    budget: String = "",
    match: String = "host: shop.example.com, pathPrefix: /v1"
  ) throws -> Settings {
    try ShopText.parse(
      service: "endpoints: [\"127.0.0.1:9000\"]\(budget)",
      match: match,
      policies: policies
    )
  }

  /// `line:column: path: message` of every fault.
  private static func faults(
    policies: String = "",
    budget: String = "",
    match: String = "host: shop.example.com, pathPrefix: /v1"
  ) -> [String] {
    report(
      { "\($0.line):\($0.column): \($0.path): \($0.message)" },
      of: { try parse(policies: policies, budget: budget, match: match) }
    )
  }

  @Test func `nothing is repeated unless it is asked for`() throws {
    let settings = try Self.parse()

    #expect(settings.routes[0].retry.retries == 0)
    #expect(settings.services[0].retryBudget == RetryBudgetSetting())
    #expect(settings.services[0].retryBudget.ratio == 0.2)
    #expect(settings.services[0].retryBudget.minimumPerSecond == 10)
  }

  @Test func `a number alone has the usual conditions, conditions alone one retry`() throws {
    let number = try Self.parse(policies: ", retries: 2").routes[0].retry
    let conditions = try Self.parse(policies: ", retryOn: [5xx]").routes[0].retry
    let off = try Self.parse(policies: ", retries: 0, retryOn: [5xx]").routes[0].retry

    #expect(number.retries == 2)
    #expect(number.conditions == [.connectFailure, .reset, .refusedStream, .status(503)])
    #expect((conditions.retries, conditions.conditions) == (1, [.serverError]))
    #expect(off.retries == 0)
  }

  @Test func `every condition reads as written, and back from what is in effect`() throws {
    let settings = try Self.parse(
      policies: ", perTryTimeoutMs: 700, retries: 2, retryOn: [connect-failure, reset, "
        + "refused-stream, 5xx, gateway-error, 503, \"429\", {header: X-Again}, "
        + "{header: x-state, value: \"a \\\"b\"}, grpc-cancelled, grpc-deadline-exceeded, "
        + "grpc-internal, grpc-resource-exhausted, grpc-unavailable]",
      budget: ", retryBudget: {ratio: 5%, minimumPerSecond: 3}"
    )

    #expect(
      settings.routes[0].retry.conditions == [
        .connectFailure, .reset, .refusedStream, .serverError, .gatewayError, .status(503),
        .status(429), .header("x-again", value: nil), .header("x-state", value: "a \"b"),
        .call(.cancelled), .call(.deadlineExceeded), .call(.internal), .call(.resourceExhausted),
        .call(.unavailable),
      ]
    )
    #expect(RetrySetting.CallStatus.allCases.map(\.code) == [1, 4, 8, 13, 14])
    #expect(settings.services[0].retryBudget.ratio == 0.05)
    #expect(settings.services[0].retryBudget.minimumPerSecond == 3)
    let back = try ConfigurationSource.parse(settings.effectiveYAML(), file: "y.yaml").settings
    #expect(back == settings)
  }

  @Test(arguments: [
    (", retries: 3", "10:37: routes[0].policies.retries: is 3; must be from 0 to 2"),
    (", retries: many", "10:37: routes[0].policies.retries: must be a whole number"),
    (", retryOn: reset", "10:37: routes[0].policies.retryOn: must be a list"),
    (", retryOn: []", "10:37: routes[0].policies.retryOn: must name at least one"),
    (", retryOn: [resets]", "10:38: routes[0].policies.retryOn[0]: \"resets\" is no co"),
    (", retryOn: [whenever]", "10:38: routes[0].policies.retryOn[0]: \"whenever\" is no c"),
    (", retryOn: [200]", "10:38: routes[0].policies.retryOn[0]: is 200; must be a status from 400"),
    (", retryOn: [600]", "10:38: routes[0].policies.retryOn[0]: is 600; must be a status from 400"),
    (", retryOn: [503, \"503\"]", "10:43: routes[0].policies.retryOn[1]: 503 is named twice"),
    (", retryOn: [[reset]]", "10:38: routes[0].policies.retryOn[0]: must be a condition such as"),
    (", retryOn: [{name: x}]", "10:39: routes[0].policies.retryOn[0].name: unknown field"),
    (", retryOn: [{header: \"a b\"}]", "10:47: routes[0].policies.retryOn[0].header: is no field"),
    (
      ", retryOn: [{header: a, value: \"\"}]",
      "10:57: routes[0].policies.retryOn[0].value: must be 1 to 512 bytes"
    ),
    (
      ", retryOn: [reset, non-idempotent]",
      "10:45: routes[0].policies.retryOn[1]: what is not idempotent is never repeated"
    ),
    (
      ", timeoutMs: 500, retries: 1, perTryTimeoutMs: 501",
      "10:73: routes[0].policies.perTryTimeoutMs: is longer than the route's timeout of 500ms"
    ),
  ])
  func `what cannot be meant is refused where it stands`(_ policies: String, _ says: String) {
    let faults = Self.faults(policies: policies)

    #expect(faults.contains { $0.hasPrefix(says) }, "\(faults)")
  }

  @Test(arguments: [
    ("{ratio: 1.5}", "5:70: services[0].retryBudget.ratio: must be a share"),
    ("{minimumPerSecond: -1}", "5:81: services[0].retryBudget.minimumPerSecond: is -1; must be"),
    ("{share: 1}", "5:63: services[0].retryBudget.share: unknown field"),
    ("0.2", "5:62: services[0].retryBudget: must be a map"),
  ])
  func `a budget out of range is refused`(_ budget: String, _ says: String) {
    let faults = Self.faults(budget: ", retryBudget: \(budget)")

    #expect(faults.contains { $0.hasPrefix(says) }, "\(faults)")
  }

  @Test func `too many conditions of either kind are refused`() {
    let statuses = (400..<433).map(String.init).joined(separator: ", ")
    let headers = (0..<9).map { "{header: x-\($0)}" }.joined(separator: ", ")

    #expect(Self.faults(policies: ", retryOn: [\(statuses)]")[0].contains("at most 32"))
    #expect(Self.faults(policies: ", retryOn: [\(headers)]")[0].contains("at most 8"))
  }

  @Test func `a route that takes only what is not idempotent has no retries by itself`() throws {
    let posts = "host: a.example, methods: [POST, PATCH]"
    let refused = Self.faults(policies: ", retries: 1", match: posts)

    #expect(refused.count == 1)
    #expect(refused[0].contains("routes[0].policies.retries: the route takes only POST, PATCH"))
    for (policies, match) in [
      (", retries: 1", "host: a.example, methods: [GET, POST]"),
      (", retries: 0", posts),
      (", retries: 1, retryOn: [connect-failure, refused-stream]", posts),
      (", retries: 1, retryOn: [reset, grpc-unavailable]", posts),
      (", retries: 1", posts + ", headers: [{name: Idempotency-Key}]"),
    ] {
      #expect(Self.faults(policies: policies, match: match) == [], "\(policies) \(match)")
    }
  }

  @Test func `a route that answers by itself has nothing to repeat`() {
    let text = """
      listeners: [{name: public, address: "127.0.0.1:0"}]
      routes:
        - {name: gone, match: {}, respond: {status: 410}, policies: {auth: none, retries: 1}}
      """

    #expect(throws: ConfigurationError.self) {
      try ConfigurationSource.parse(text, file: "x.yaml")
    }
  }
}
