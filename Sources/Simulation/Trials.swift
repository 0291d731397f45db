/// The scenarios that admission is judged by.
///
/// The service has 40 places of 20 ms where nothing else is
/// said, and an exponential latency: alone it answers in 15 ms at the median and 93 ms at p99.
public enum Trials {
  public static var all: [Trial] { overload + changes + calm + bursts + growth + slow + edges }

  public static func named(_ name: String) -> Trial? { all.first { $0.scenario.name == name } }

  private static func trial(
    _ name: String,
    _ goals: [Goal],
    _ change: (inout Scenario) -> Void
  ) -> Trial {
    var scenario = Scenario(name)
    change(&scenario)
    return Trial(scenario: scenario, goals: goals)
  }

  static let overload: [Trial] = [
    trial(
      "over10",
      [
        .least("goodput", 0.97) { $0.goodput },
        .least("critical", 0.999) { $0.critical },
        .most("critical p99", 1.5 * 0.0931) { $0.critical99 },
        .most("critical p50", 2 * 0.0149) { $0.criticalMedian },
        .most("queue wait p99", 0.020) { $0.queueWait99 },
        .most("convergence", 3) { $0.convergence },
      ]
    ) {
      $0.load = 10.0
      $0.event = (0, nil)
    },
    trial(
      "step10",
      [
        .least("goodput", 0.97) { $0.goodput },
        .least("critical", 0.999) { $0.critical },
        .least("critical, first second", 0.995) { $0.criticalFirstSecond },
        .most("convergence", 1.5) { $0.convergence },
        .most("recovery", 1) { $0.recovery },
      ]
    ) {
      $0.length = 80
      $0.load = Steps([(0, 0.8), (20, 10), (50, 0.8)])
      $0.measured = 21...50
      $0.event = (20, 50)
    },
    trial(
      "over10cv2",
      [.least("goodput", 0.95) { $0.goodput }, .least("critical", 0.999) { $0.critical }]
    ) {
      $0.load = 10.0
      $0.demand = .lognormal(2)
      $0.event = (0, nil)
    },
    trial("retrystorm", [.most("recovery", 1) { $0.recovery }]) {
      $0.length = 90
      $0.retries = 2
      $0.load = Steps([(0, 0.8), (20, 5), (50, 0.8)])
      $0.measured = 25...50
      $0.event = (20, 50)
    },
    trial("crit2x", [.least("goodput", 0.97) { $0.goodput }]) {
      $0.load = 10.0
      $0.critical = Steps([(0, 0.05), (15, 0.2)])
    },
    trial("small5x", [.least("critical", 0.99) { $0.critical }]) {
      $0.backends = 1
      $0.places = 4
      $0.meanDemand = 0.1
      $0.load = 5.0
      $0.length = 120
      $0.measured = 30...120
      $0.event = (0, nil)
    },
  ]

  static let changes: [Trial] = [
    trial(
      "brownout",
      [
        .least("goodput", 0.92) { $0.goodput },
        .least("critical", 0.999) { $0.critical },
        .most("convergence", 3) { $0.convergence },
      ]
    ) {
      $0.length = 80
      $0.load = 0.8
      $0.capacity = Steps([(0, 1), (20, 0.3), (50, 1)])
      $0.measured = 21...50
      $0.event = (20, 50)
    },
    trial(
      "latx3",
      [.most("shed", 0.05) { $0.shed }, .least("critical", 1) { $0.critical }]
    ) {
      $0.load = 0.8
      $0.delay = Steps([(0, 0), (20, 0.042)])
      $0.event = (20, nil)
    },
    trial("mixshift0.8", [.most("shed", 0.001) { $0.shed }]) {
      $0.demand = .bimodal
      $0.load = 0.8
      $0.dear = Steps([(0, 0.1), (20, 0.4)])
      $0.countsWork = true
    },
    trial("clockstep", [.least("goodput", 0.97) { $0.goodput }]) {
      $0.load = 10.0
      $0.clockStep = (15, -3_600)
    },
  ]

  static let calm: [Trial] = [
    trial("steady0.5", [.most("shed", 0) { $0.shed }]) { $0.load = 0.5 },
    trial("steady0.9", [.most("shed", 0.001) { $0.shed }]) { $0.load = 0.9 },
    // Of requests of 100 ms one in 22,000 takes longer than its deadline, whatever is done.
    trial(
      "low5rps",
      [.most("refused", 0) { $0.refused }, .most("shed that could be served", 0) { $0.avoidable }]
    ) {
      $0.backends = 1
      $0.places = 4
      $0.meanDemand = 0.1
      $0.fixedRate = 5
      $0.length = 200
      $0.measured = 10...200
    },
    trial("burst0.8", []) {
      $0.load = 0.8
      $0.isBursty = true
    },
  ]

  /// Many at once at a service that has room for them, and clients that keep a fast one busy: in calm
  /// nobody is refused.
  static let bursts: [Trial] = [
    trial("coldburst", [.most("refused", 0) { $0.refused }]) { coldBurst(&$0) },
    trial("coldburst4", [.most("refused", 0) { $0.refused }]) {
      coldBurst(&$0)
      $0.workers = 4
    },
    trial("slowburst", [.most("refused", 0) { $0.refused }]) {
      $0.places = 100
      $0.meanDemand = 0.2
      $0.demand = .lognormal(0.1)
      $0.load = 0.0
      $0.deadline = 5
      $0.bursts = [(0.05, 100), (8, 100), (9, 100), (20, 100)]
      $0.length = 30
      $0.measured = 0...28
    },
    trial("callers64", [.most("refused", 0) { $0.refused }]) {
      callers(&$0, 64, places: 2)
      $0.meanDemand = 0.0002
    },
    // A queue of theirs that takes 12 ms to serve stands, and nobody in it is late.
    trial("callers512", [.most("refused", 0) { $0.refused }]) {
      callers(&$0, 512, places: 8)
      $0.meanDemand = 0.0002
    },
    // Some of what they ask for takes long: the limit is found among latencies that differ widely.
    trial("callersmixed", [.most("refused", 0) { $0.refused }]) {
      callers(&$0, 64, places: 1_000)
      $0.demand = .lognormal(2)
      $0.deadline = 10
      $0.length = 30
      $0.measured = 0...28
    },
    // They come one after the other, so that at first the quick answers outnumber the slow ones.
    trial("callersramp", [.most("refused", 0) { $0.refused }]) {
      callers(&$0, 64, places: 1_000)
      $0.demand = .mixed
      $0.callersWithin = 0.4
      $0.critical = 0.0
      $0.deadline = 10
      $0.length = 30
      $0.measured = 0...28
    },
    // Another tenant's requests are never answered: what is refused is refused while that shows.
    trial(
      "hangs",
      [.most("refused", 0.01) { $0.refused }, .least("goodput", 0.48) { $0.goodput }]
    ) {
      $0.load = 0.5
      $0.hangs = 200
    },
  ]

  /// Clients that never pause, all critical, before one service that nothing makes slower.
  private static func callers(_ scenario: inout Scenario, _ count: Int, places: Int) {
    scenario.backends = 1
    scenario.places = places
    scenario.load = 0.0
    scenario.callers = count
    scenario.critical = 1.0
    scenario.knee = 1_000
    scenario.length = 14
    scenario.measured = 0...12
  }

  private static func coldBurst(_ scenario: inout Scenario) {
    scenario.places = 100
    scenario.meanDemand = 0.005
    scenario.load = 0.0
    scenario.bursts = [(0.05, 200), (1, 200), (12, 200)]
    scenario.length = 20
    scenario.measured = 0...18
  }

  static let growth: [Trial] = [
    trial(
      "cold40",
      [.most("shed", 0.005) { $0.shed }, .least("critical", 1) { $0.critical }]
    ) {
      $0.load = 0.8
      $0.length = 20
      $0.measured = 0...5
    },
    trial(
      "cold400",
      [.most("shed", 0.05) { $0.shed }, .least("critical", 1) { $0.critical }]
    ) {
      $0.backends = 20
      $0.places = 20
      $0.load = 0.8
      $0.length = 20
      $0.measured = 0...5
    },
    trial("cold400slow", [.most("refused", 0.25) { $0.refused }]) {
      $0.backends = 20
      $0.places = 20
      $0.meanDemand = 0.2
      $0.load = 0.8
      $0.length = 30
      $0.measured = 0...10
    },
    trial("warm400slow", [.most("refused", 0) { $0.refused }]) {
      $0.backends = 20
      $0.places = 20
      $0.meanDemand = 0.2
      $0.load = 0.8
      $0.length = 30
      $0.measured = 0...10
      $0.isWarm = true
    },
    trial("rise400", [.most("shed", 0.01) { $0.shed }]) {
      $0.backends = 20
      $0.places = 20
      $0.load = Steps([(0, 0.05), (15, 0.8)])
      $0.length = 40
      $0.measured = 15...20
    },
    trial("rise2000", [.most("shed", 0.01) { $0.shed }]) {
      $0.backends = 50
      $0.places = 40
      $0.load = Steps([(0, 0.02), (10, 0.7)])
      $0.length = 25
      $0.measured = 10...15
    },
  ]

  /// A service that takes ten seconds for everything, half of whose places are wanted.
  static let slow: [Trial] = [
    trial("slow10s", [.most("refused", 0.01) { $0.refused }]) {
      $0.backends = 1
      $0.places = 400
      $0.meanDemand = 10
      $0.demand = .lognormal(0.3)
      $0.load = 0.5
      $0.deadline = 120
      $0.length = 300
      $0.measured = 200...280
    }
  ]

  static let edges: [Trial] = [
    trial(
      "edges8",
      [.least("goodput", 0.95) { $0.goodput }, .least("fairness", 0.98) { $0.fairness }]
    ) {
      $0.edges = 8
      $0.load = 5.0
      $0.event = (0, nil)
    },
    trial("edges8join", [.least("goodput", 0.95) { $0.goodput }]) {
      $0.edges = 8
      $0.length = 90
      $0.load = 5.0
      $0.activeEdges = Steps([(0, 4), (30, 8)])
      $0.measured = 60...90
    },
    trial("skew50ms", [.least("goodput", 0.95) { $0.goodput }]) {
      $0.edges = 8
      $0.load = 5.0
      $0.event = (0, nil)
      $0.skew = 0.050
    },
    // The same edge as one worker and as four: what they share must make no difference.
    trial(
      "over10workers4",
      [
        .least("goodput", 0.97) { $0.goodput },
        .least("critical", 0.999) { $0.critical },
        .most("queue wait p99", 0.020) { $0.queueWait99 },
      ]
    ) {
      $0.load = 10.0
      $0.workers = 4
      $0.event = (0, nil)
    },
    trial(
      "step10workers4",
      [
        .least("goodput", 0.97) { $0.goodput },
        .least("critical, first second", 0.995) { $0.criticalFirstSecond },
        .most("recovery", 1) { $0.recovery },
      ]
    ) {
      $0.length = 80
      $0.workers = 4
      $0.load = Steps([(0, 0.8), (20, 10), (50, 0.8)])
      $0.measured = 21...50
      $0.event = (20, 50)
    },
  ]
}
