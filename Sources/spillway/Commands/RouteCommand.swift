internal import ArgumentParser
internal import Configuration
internal import Glibc
internal import Routing
internal import Units

/// Says which route a request takes, and why the others do not.
struct RouteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "route",
    abstract: "Say which route a request takes, every policy that applies, and why not the others."
  )

  @Argument(help: "The configuration file, YAML or JSON.")
  var file: String

  @Argument(help: "The request's method.")
  var method: String

  @Argument(help: "The request's URL, such as http://api.example.com/v1/orders?v=2")
  var url: String

  @Option(name: [.customShort("H"), .long], help: "A header, name:value; may be repeated.")
  var header: [String] = []

  @Option(help: "The listener that the request comes to, for its rules of paths; else the first.")
  var listener: String?

  func run() throws {
    let settings: Settings
    do {
      settings = try ConfigurationSource.load(file).settings
    } catch {
      FaultOutput.print(error)
      throw ArgumentParser.ExitCode.failure
    }
    if ["CONNECT", "TRACE"].contains(method) {
      print("refused with 501 before routing: \(method) is not implemented")
      throw ArgumentParser.ExitCode.failure
    }
    let policy = try paths(settings)
    let probe: RouteProbe
    do {
      probe = try RouteProbe(
        method: method,
        url: url,
        headers: header.map(Self.split),
        policy: policy
      )
    } catch {
      print("refused with 400 before routing: \(error.reason)")
      throw ArgumentParser.ExitCode.failure
    }
    print("\(probe.method) \(probe.host.isEmpty ? "(no host)" : probe.host) \(probe.path)")
    let table = try RouteTable(rules: settings.routes.map(\.match), policy: settings.routePaths)
    let explanations = probe.withRequest { table.explain($0) }
    guard let winner = explanations.first(where: { $0.verdict == .matched }) else {
      print("no route matches: the edge answers 404, or 405 where only the method differs")
      Self.printOthers(explanations)
      throw ArgumentParser.ExitCode.failure
    }
    Self.describe(settings.routes[winner.rule], settings)
    Self.printOthers(explanations.filter { $0.rule != winner.rule })
  }

  private func paths(_ settings: Settings) throws -> PathPolicy {
    guard let listener else { return settings.listeners.first?.paths ?? PathPolicy() }
    if let setting = settings.listeners.first(where: { $0.name == listener }) {
      return setting.paths
    }
    let near = Spelling.nearest(listener, in: settings.listeners.map(\.name))
    print("there is no listener \"\(listener)\"" + (near.map { "; did you mean \($0)?" } ?? ""))
    throw ArgumentParser.ExitCode.failure
  }

  private static func split(_ header: String) -> (name: String, value: String) {
    let parts = header.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let value = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
    return (String(parts[0]), String(value))
  }

  private static func describe(_ route: RouteSetting, _ settings: Settings) {
    print("route    \(route.name)")
    print("class    \(settings.classes[route.classIndex])")
    switch route.action {
    case .service(let name, let port):
      let service = settings.services.first { $0.name == name }
      let listed = service?.endpoints.map(\.description).joined(separator: ", ") ?? ""
      let endpoints = service?.discovery.map { "from \($0.kind) \($0.place)" } ?? listed
      print("service  \(name)\(port.map { ", port \($0)" } ?? ""): \(endpoints)")
      print("balance  \(service?.balance.rawValue ?? "")")
      if let admission = service?.admission {
        let limit = admission.mode == .off ? "" : ", limit \(admission.limit.rawValue)"
        print("admission \(admission.mode.rawValue)\(limit)")
      }
      let perTry = route.perTryTimeout.map { ", \(written($0)) for each attempt" } ?? ""
      print("timeout  \(written(route.timeout))\(perTry)")
      print("retries  \(retries(route, service))")
      print("hedge    \(hedge(route, service))")
      print("fallback \(fallback(route))")
    case .respond(let response):
      print("answers  \(response.status), \(response.body.utf8.count) bytes")
    }
    print("auth     none")
  }

  private static func retries(_ route: RouteSetting, _ service: ServiceSetting?) -> String {
    guard route.retry.retries > 0 else { return "none" }
    let conditions = route.retry.conditions.map(\.description).joined(separator: ", ")
    let budget = service?.retryBudget ?? RetryBudgetSetting()
    return "\(route.retry.retries) on \(conditions); idempotent methods, others with an "
      + "Idempotency-Key; at most \(budget.ratio) of the service's requests and "
      + "\(budget.minimumPerSecond) a second"
  }

  private static func hedge(_ route: RouteSetting, _ service: ServiceSetting?) -> String {
    guard let hedge = route.hedge else { return "none" }
    guard service?.admission.mode != .shadow else { return "none while admission is in shadow" }
    return "GET and HEAD without a body that take longer than \(hedge.percentile) of the route's, "
      + "at least 5 ms; at most 0.05 of them, within the budget of retries"
  }

  private static func fallback(_ route: RouteSetting) -> String {
    switch route.fallback {
    case nil: "none: 503 while there is nobody to ask"
    case .service(let name, let port)?: "\(name)\(port.map { ", port \($0)" } ?? "")"
    case .respond(let response)?:
      "answers \(response.status), \(response.body.utf8.count) bytes"
    }
  }

  private static func written(_ time: Nanoseconds) -> String {
    time.rawValue % 1_000_000 == 0
      ? "\(time.rawValue / 1_000_000) ms" : "\(time.milliseconds) ms"
  }

  private static func printOthers(_ explanations: [RouteExplanation]) {
    guard !explanations.isEmpty else { return }
    print("\nothers, in the order they are considered:")
    for explanation in explanations { print("  \(explanation.name): \(explanation.verdict)") }
  }
}
