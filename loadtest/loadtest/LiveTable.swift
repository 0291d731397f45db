internal import LoadEngine
internal import LoadKit
internal import Units

/// What happens now, by class, with a bar for how far the run is; drawn over itself.
final class LiveTable {
  private let scenario: Scenario
  private let isShown: Bool
  private var lines = 0
  private var before: [Tally]
  /// Whose counts `before` has: the measurement of the capacity has an account of its own.
  private var account: Account?
  private var shownAt = Nanoseconds(Int64.min)

  init(_ scenario: Scenario, isShown: Bool) {
    self.scenario = scenario
    self.isShown = isShown
    before = scenario.classes.map { _ in Tally() }
  }

  func show(_ progress: RunController.Progress) {
    guard isShown, shownAt.rawValue == .min || progress.elapsed - shownAt >= .milliseconds(450)
    else { return }
    if account !== progress.account {
      account = progress.account
      before = scenario.classes.map { _ in Tally() }
      shownAt = Nanoseconds(Int64.min)
    }
    let span = shownAt.rawValue == .min ? 1 : (progress.elapsed - shownAt).seconds
    shownAt = progress.elapsed
    guard progress.elapsed >= .zero else {
      // The capacity's own account is not the run's: begin anew with that.
      shownAt = Nanoseconds(Int64.min)
      return draw(["measuring capacity …"])
    }
    var text = [bar(progress)]
    text.append(
      TextReport.row("class", ["offered/s", "good/s", "late/s", "shed/s", "failed/s", "errors/s"])
    )
    for (place, name) in scenario.classes.enumerated() {
      let tally = progress.account.tally(priority: place, phases: 0..<progress.account.phases)
      let last = before[place]
      before[place] = tally
      func rate(_ outcome: Outcome) -> String {
        let now = progress.account.count(outcome, in: tally.counts)
        let then = progress.account.count(outcome, in: last.counts)
        return Decimal.text(Double(now - then) / span, digits: 0)
      }
      text.append(
        TextReport.row(
          name,
          [Decimal.text(Double(tally.offered - last.offered) / span, digits: 0)]
            + [Outcome.good, .late, .shed, .failed, .error].map(rate)
        )
      )
    }
    draw(text)
  }

  func finish() {
    if isShown, lines > 0 { Console.put("\u{1B}[\(lines)A\u{1B}[J", to: 2) }
    lines = 0
  }

  private func bar(_ progress: RunController.Progress) -> String {
    let phase = scenario.stretches[progress.phase]
    let share = min(max(progress.elapsed.seconds / scenario.duration, 0), 1)
    let full = Int(share * 40)
    let blocks = String(repeating: "█", count: full) + String(repeating: "░", count: 40 - full)
    let percent = Decimal.text(share * 100, digits: 0)
    return "  \(blocks) \(percent) %  \(phase.name)"
  }

  private func draw(_ text: [String]) {
    let up = lines > 0 ? "\u{1B}[\(lines)A" : ""
    Console.put(up + text.map { "\u{1B}[2K\($0)\n" }.joined() + "\u{1B}[J", to: 2)
    lines = text.count
  }
}
