import LoadEngine
import LoadKit
import Reactor
import Testing
import Units

/// What a short run of one kind of request came to.
struct ClientRun {
  var account: Account
  var figures: LoadClient.Figures
  var tally: Tally

  func count(_ reason: String) -> UInt64 {
    zip(account.reasons.entries, tally.counts).reduce(0) { sum, pair in
      "\(pair.0.outcome.name) \(pair.0.name)" == reason ? sum + pair.1 : sum
    }
  }

  func count(_ outcome: Outcome) -> UInt64 { account.count(outcome, in: tally.counts) }

  /// Every outcome that occurred, for messages.
  var outcomes: [String: UInt64] {
    var counts: [String: UInt64] = [:]
    for (entry, count) in zip(account.reasons.entries, tally.counts) where count > 0 {
      counts["\(entry.outcome.name) \(entry.name)", default: 0] += count
    }
    return counts
  }

  /// Runs, and checks what must hold whatever the target does: every request ends once.
  static func run(
    scheme: String = "http",
    port: UInt16,
    _ backend: Reactor.Backend,
    arrivals: Arrivals = .closed(concurrency: 1),
    rate: Double = 0,
    seconds: Double = 0.1,
    connections: Int = 16,
    kind change: (inout RequestKind) -> Void = { _ in },
    options changeOptions: (inout LoadClient.Options) -> Void = { _ in }
  ) throws -> ClientRun {
    var kind = RequestKind(name: "kind")
    kind.deadline = .seconds(60)
    kind.timeout = .seconds(60)
    change(&kind)
    var options = LoadClient.Options()
    options.backend = backend
    options.connections.most = connections
    changeOptions(&options)
    let client = try LoadClient(Target("\(scheme)://127.0.0.1:\(port)"), kinds: [kind], options)
    let account = Account(classes: 1, phases: 1, intervals: 4)
    let plan = SendPlan(
      arrivals: arrivals,
      stretches: [
        .init(rate: rate, duration: Nanoseconds(Int64(seconds * 1e9)), weights: [1])
      ],
      interval: .seconds(1),
      priorities: [0]
    )
    client.run(plan, into: account) { _ in }
    #expect(account.pending == 0)
    let tally = account.tally(priority: nil, phases: 0..<1)
    #expect(tally.counts.reduce(0, +) == tally.offered)
    #expect(tally.attemptCounts.reduce(0, +) == tally.attempts)
    #expect(tally.offered > 0)
    return ClientRun(account: account, figures: client.figures, tally: tally)
  }
}
