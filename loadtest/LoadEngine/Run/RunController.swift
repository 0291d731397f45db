internal import Foundation
public import LoadKit
public import Reactor
public import Units

/// A whole run: capacity, load, the service's own counters, judgement.
public final class RunController: @unchecked Sendable {
  // Safe to share: other threads reach `stop` alone, which uses a lock.

  public struct Options: Sendable {
    public var target: Target
    /// Where capacity is measured, when that is not the target.
    public var direct: Target?
    /// The control APIs of the simulated services, in the order in which scenarios number them.
    public var backends: [Target] = []
    /// In place of what the scenario says.
    public var capacity: Double?
    /// In place of what the scenario says.
    public var wireProtocol: WireProtocol?
    /// For targets that speak TLS.
    public var trust = TargetTrust.system
    public var reactor = Reactor.Backend.epoll

    public init(target: Target) { self.target = target }
  }

  /// What a display shows while it runs.
  public struct Progress {
    /// Since the start; negative while capacity is measured.
    public var elapsed: Nanoseconds
    public var phase: Int
    public var account: Account
    public var capacity: Double
  }

  /// Lag of the simulated service beyond which its capacity is not what it says.
  private static let maximumBackendLag = 0.005

  private let scenario: Scenario
  private let options: Options
  private let running = Locked<(client: LoadClient?, isStopped: Bool)>((nil, false))
  private let troubles = Locked<[String]>([])

  public init(_ scenario: Scenario, _ options: Options) {
    self.scenario = scenario
    self.options = options
  }

  /// Ends the run soon; from any thread.
  public func stop() {
    let client = running.withLock { state in
      state.isStopped = true
      return state.client
    }
    client?.stop()
  }

  /// Runs all of it on this thread.
  ///
  /// `progress`: Called about four times a second.
  ///
  /// - Throws: Why it could not begin.
  public func run(progress: (Progress) -> Void) throws -> RunReport {
    var options = LoadClient.Options()
    options.backend = self.options.reactor
    options.connections = scenario.connections
    options.seed = scenario.seed
    options.trust = self.options.trust
    options.wireProtocol = self.options.wireProtocol ?? scenario.wireProtocol
    let started = Date()
    try checkOrders()
    let capacity = try capacity(options, progress)
    let client = try LoadClient(self.options.target, kinds: scenario.kinds, options)
    let plan = SendPlan(scenario, capacity: capacity)
    let account = makeAccount()
    let before = try BackendFigures.read(self.options.backends)
    let machine = MachineLoad()
    var phase = -1
    follow(client)
    client.run(plan, into: account) { elapsed in
      let now = self.phase(at: elapsed)
      while phase < now {
        phase += 1
        for order in scenario.stretches[phase].orders { give(order) }
      }
      progress(Progress(elapsed: elapsed, phase: now, account: account, capacity: capacity))
    }
    let busy = MachineLoad().share(since: machine)
    let after = try BackendFigures.read(self.options.backends)
    return report(client, account, capacity, started, busy, before, after)
  }

  private func follow(_ client: LoadClient) {
    let isStopped = running.withLock { state in
      state.client = client
      return state.isStopped
    }
    if isStopped { client.stop() }
  }

  private func makeAccount() -> Account {
    let intervals = (scenario.duration / scenario.effectiveInterval.seconds).rounded(.up)
    return Account(
      classes: scenario.classes.count,
      phases: scenario.stretches.count,
      intervals: max(1, Int(intervals))
    )
  }

  private func phase(at elapsed: Nanoseconds) -> Int {
    var end = Nanoseconds.zero
    for (index, phase) in scenario.stretches.enumerated() {
      end = end + phase.duration
      if elapsed < end { return index }
    }
    return scenario.stretches.count - 1
  }

  // MARK: - Capacity

  private func capacity(
    _ options: LoadClient.Options,
    _ progress: (Progress) -> Void
  ) throws -> Double {
    if let capacity = self.options.capacity { return capacity }
    guard case .measured(let measurement) = scenario.capacity else {
      if case .stated(let capacity) = scenario.capacity { return capacity }
      return 0
    }
    let needsCapacity =
      scenario.stretches.contains { if case .multiple = $0.load { true } else { false } }
      || scenario.expectations.contains {
        if case .percentOfCapacity = $0.bound { true } else { false }
      }
    if case .closed = scenario.arrivals { return 0 }
    guard needsCapacity else { return 0 }
    var options = options
    options.connections = ConnectionBounds()
    options.connections.most = measurement.concurrency
    var kinds = scenario.kinds
    for index in kinds.indices {
      // Slow answers are answers here, and nobody tries again.
      kinds[index].retries = nil
      kinds[index].timeout = max(kinds[index].timeout, .seconds(10))
      kinds[index].deadline = kinds[index].timeout
    }
    if let direct = self.options.direct {
      // What a service can do does not depend on how its clients' edge is spoken to.
      let isGRPC = kinds.contains(where: \.isGRPC)
      options.wireProtocol = isGRPC ? .http2 : direct.isSecure ? .automatic : .http1
    }
    let client = try LoadClient(self.options.direct ?? self.options.target, kinds: kinds, options)
    follow(client)
    let account = Account(classes: scenario.classes.count, phases: 2, intervals: 1)
    let weights = scenario.weights(in: scenario.phases[0])
    let settle = Nanoseconds.milliseconds(500)
    let plan = SendPlan(
      arrivals: .closed(concurrency: measurement.concurrency),
      stretches: [
        .init(rate: 0, duration: settle, weights: weights),
        .init(rate: 0, duration: measurement.duration, weights: weights),
      ],
      interval: .seconds(3_600),
      priorities: kinds.map(\.priority)
    )
    let length = settle + measurement.duration
    client.run(plan, into: account) { elapsed in
      // Still before the run, also while its last answers are waited for.
      let left = min(elapsed - length, Nanoseconds(-1))
      progress(Progress(elapsed: left, phase: 0, account: account, capacity: 0))
    }
    let tally = account.tally(priority: nil, phases: 1..<2)
    let good = Double(account.count(.good, in: tally.counts))
    let capacity = good / measurement.duration.seconds
    guard capacity > 0 else {
      throw EngineError("the capacity could not be measured: nothing was served")
    }
    return capacity
  }

  // MARK: - The simulated services

  private func checkOrders() throws(EngineError) {
    let orders = scenario.stretches.flatMap(\.orders)
    guard let last = orders.map({ $0.place ?? 0 }).max(), last >= options.backends.count else {
      return
    }
    throw EngineError(
      "the scenario gives orders to backend \(last + 1), and \(options.backends.count) are named"
    )
  }

  /// Without waiting: the answer may come while requests are due.
  private func give(_ order: BackendOrder) {
    let backends = order.place.map { [options.backends[$0]] } ?? options.backends
    Thread.detachNewThread { [troubles] in
      for backend in backends {
        do {
          _ = try ControlCall.send("POST", order.path, to: backend)
        } catch {
          let text = "\(error)"
          troubles.withLock { $0.append(text) }
        }
      }
    }
  }

  // MARK: - The report

  private func report(
    _ client: LoadClient,
    _ account: Account,
    _ capacity: Double,
    _ started: Date,
    _ busy: Double,
    _ before: [String: Double],
    _ after: [String: Double]
  ) -> RunReport {
    let counters = BackendFigures.difference(before, after)
    let builder = ReportBuilder(scenario, account, capacity: capacity, counters: counters)
    let figures = client.figures
    var problems = builder.problems(lagP99: Nanoseconds(figures.lag.percentile(99)))
    problems += troubles.withLock { $0 }
    if figures.isStopped, !problems.contains(where: { $0.contains("stopped") }) {
      problems.append("the run was stopped")
    }
    if let lag = after["lag_p99_seconds"], lag > Self.maximumBackendLag {
      problems.append(
        "the simulated service missed its own schedule by \(Decimal.text(lag * 1e3, digits: 1)) ms (p99)"
      )
    }
    var notes: [String] = []
    if busy > 0.7 {
      notes.append(
        "the machine was \(Decimal.text(busy * 100, digits: 0)) % busy: what was measured may be the machine"
      )
    }
    return RunReport(
      name: scenario.name.isEmpty ? "run" : scenario.name,
      about: scenario.about,
      target: options.target.url,
      arrivals: Self.text(scenario.arrivals),
      seed: scenario.seed,
      startedAt: started.formatted(.iso8601),
      capacity: capacity,
      capacitySource: capacitySource,
      problems: problems,
      notes: notes,
      harness: Self.harness(figures, busy),
      duration: scenario.duration,
      interval: scenario.effectiveInterval.seconds,
      phases: builder.phases,
      series: builder.series,
      expectations: builder.judgements,
      backend: counters
    )
  }

  private var capacitySource: String {
    if options.capacity != nil { return "given" }
    switch scenario.capacity {
    case .stated: return "stated by the scenario"
    case .measured(let measurement):
      return "measured at \((options.direct ?? options.target).url) with "
        + "\(measurement.concurrency) callers"
    }
  }

  private static func text(_ arrivals: Arrivals) -> String {
    switch arrivals {
    case .open(.constant): "open loop, constant"
    case .open(.poisson): "open loop, Poisson"
    case .open(.bursty(let size)): "open loop, bursts of \(size)"
    case .closed(let concurrency): "closed loop, \(concurrency) callers"
    }
  }

  private static func harness(
    _ figures: LoadClient.Figures,
    _ busy: Double
  ) -> RunReport.Harness {
    var harness = RunReport.Harness()
    harness.lagP50 = Double(figures.lag.percentile(50)) / 1e6
    harness.lagP99 = Double(figures.lag.percentile(99)) / 1e6
    harness.lagMaximum = Double(figures.lag.maximum) / 1e6
    harness.connects = figures.connects
    harness.connectFailures = figures.connectFailures
    harness.mostConnections = figures.mostConnections
    harness.waited = figures.waited
    harness.resent = figures.resent
    harness.unsolicited = figures.unsolicited
    harness.bytesReceived = figures.bytesReceived
    harness.processorTime = figures.processorTime
    harness.machineBusy = busy
    return harness
  }
}
