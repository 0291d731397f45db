internal import LoadKit
internal import Reactor
internal import Units

/// The control API: what the service did, and how it is made to misbehave.
///
/// ```
/// GET  /stats                   counters and gauges as JSON
/// GET  /metrics                 the same for Prometheus
/// POST /brownout?to=30%         that share of the workers is left
/// POST /shift?factor=3          takes that much longer, with as many more workers: capacity stays
/// POST /slow?factor=3           takes that much longer, with the same workers
/// POST /faults?error=1%&reset=1%&hang=1%&unavailable=1%&drop=1%&slowBody=1%
/// POST /kill                    refuses and drops connections
/// POST /recover                 undoes all of these
/// POST /zero                    sets the counters to zero
/// ```
extension Backend {
  func control(_ index: Int32, target: String) {
    let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
    let path = parts.first ?? "/"
    let query = parts.count > 1 ? Query(parts[1]) : Query("")
    switch (path, connections[index].pointee.isPost) {
    case ("/stats", false): reply(index, "200 OK", stats, type: "application/json")
    case ("/metrics", false): reply(index, "200 OK", exposition, type: "text/plain; version=0.0.4")
    case ("/stats", true), ("/metrics", true):
      reply(index, "405 Method Not Allowed", "use GET\n")
    case (_, false):
      reply(
        index,
        Self.commands.contains(path) ? "405 Method Not Allowed" : "404 Not Found",
        "see loadtest backend --help\n"
      )
    case (_, true):
      guard Self.commands.contains(path) else {
        return reply(index, "404 Not Found", "there is no \(Self.commands.sorted())\n")
      }
      if let problem = obey(path, query) { return reply(index, "400 Bad Request", problem + "\n") }
      reply(index, "200 OK", stats, type: "application/json")
    }
  }

  private static let commands: Set<String> = [
    "/brownout", "/shift", "/slow", "/faults", "/kill", "/recover", "/zero",
  ]

  private static let faultNames = ["error", "reset", "hang", "unavailable", "drop", "slowBody"]

  /// Does what is asked, or says what is wrong with it and does nothing.
  private func obey(_ path: String, _ query: Query) -> String? {
    switch path {
    case "/brownout":
      guard query.hasOnly(["to"]), let share = query.share("to"), share > 0 else {
        return "needs to, a share of the workers such as 30%"
      }
      model.scale(time: model.timeFactor, workers: share, at: reactor.now)
    case "/shift", "/slow":
      guard query.hasOnly(["factor"]), let factor = query.number("factor"),
        (0.01...100).contains(factor)
      else { return "needs factor, a number from 0.01 to 100" }
      model.scale(time: factor, workers: path == "/shift" ? factor : 1, at: reactor.now)
    case "/faults":
      guard query.hasOnly(Self.faultNames) else {
        return "knows \(Self.faultNames.joined(separator: ", ")): shares such as 1%"
      }
      var changed = faults
      for (name, place) in [
        ("error", \ServiceSettings.Faults.error), ("reset", \.reset), ("hang", \.hang),
        ("unavailable", \.unavailable), ("drop", \.drop), ("slowBody", \.slowBody),
      ] as [(String, WritableKeyPath<ServiceSettings.Faults, Double>)]
      where query.has(name) {
        guard let share = query.share(name) else { return "\(name) needs a share such as 1%" }
        changed[keyPath: place] = share
      }
      faults = changed
    case "/kill": kill()
    case "/recover":
      recover()
      if !isAlive { return trouble }
    default:
      counters = BackendCounters(routes: model.settings.routes.count)
      lag.reset()
    }
    return nil
  }

  private func reply(_ index: Int32, _ status: String, _ body: String, type: String = "text/plain")
  {
    let body = Array(body.utf8)
    answer(
      index,
      bytes: BackendAnswers.head(status, size: body.count, closes: true, type: type) + body
    )
  }

  // MARK: - What is told

  private var gauges: [(name: String, value: String)] {
    [
      ("workers", "\(model.workers)"), ("working", "\(model.working)"),
      ("waiting", "\(model.waiting)"), ("working_for_nobody", "\(model.wasted)"),
      ("alive", isAlive ? "1" : "0"),
      ("lag_p99_seconds", Decimal.text(Double(lag.percentile(99)) / 1e9, digits: 6)),
      ("lag_maximum_seconds", Decimal.text(Double(lag.maximum) / 1e9, digits: 6)),
    ]
  }

  private var stats: String {
    var text = "{"
    for counter in counters.named { text += "\"\(counter.name)\": \(counter.value), " }
    for gauge in gauges { text += "\"\(gauge.name)\": \(gauge.value), " }
    let routes = model.settings.routes.map(\.pathPrefix) + ["other"]
    let served = zip(routes, counters.servedByRoute).map { "\"\($0)\": \($1)" }
    return text + "\"served_by_route\": {\(served.joined(separator: ", "))}}\n"
  }

  private var exposition: String {
    var text = ""
    for counter in counters.named {
      let name = "loadtest_backend_\(counter.name)_total"
      text += "# TYPE \(name) counter\n\(name) \(counter.value)\n"
    }
    for gauge in gauges {
      let name = "loadtest_backend_\(gauge.name)"
      text += "# TYPE \(name) gauge\n\(name) \(gauge.value)\n"
    }
    let name = "loadtest_backend_route_served_total"
    text += "# TYPE \(name) counter\n"
    let routes = model.settings.routes.map(\.pathPrefix) + ["other"]
    for (route, served) in zip(routes, counters.servedByRoute) {
      text += "\(name){route=\"\(route)\"} \(served)\n"
    }
    return text
  }
}

/// `name=value&name=value`, without escapes but that of the percent sign.
private struct Query {
  private var values: [String: String] = [:]

  init(_ text: String) {
    for part in text.split(separator: "&") {
      let pair = part.split(separator: "=", maxSplits: 1)
      guard let name = pair.first else { continue }
      var value = pair.count > 1 ? String(pair[1]) : ""
      if value.hasSuffix("%25") { value = value.dropLast(3) + "%" }
      values[String(name)] = value
    }
  }

  func has(_ name: String) -> Bool { values[name] != nil }

  /// Whether it names something, and nothing else.
  func hasOnly(_ names: [String]) -> Bool {
    !values.isEmpty && values.keys.allSatisfy { names.contains($0) }
  }

  func number(_ name: String) -> Double? {
    guard let text = values[name], let value = Double(text), value.isFinite else { return nil }
    return value
  }

  /// In `0...1`.
  func share(_ name: String) -> Double? {
    guard let text = values[name] else { return nil }
    let value = text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
    guard let value, (0...1).contains(value) else { return nil }
    return value
  }
}
