import Admission
import Foundation
import Simulation

// Runs the trials of admission and prints a line for each; ends with 1 when a goal is missed.
//
//   admission-sim [--seeds N | --seeds FROM-TO] [--limiter NAME] [SCENARIO ...]
//
// A rule that was chosen with some seeds is judged by others: --seeds 13-24.

func refuse(_ what: String) -> Never {
  FileHandle.standardError.write(Data((what + "\n").utf8))
  exit(2)
}

var seeds = 1...3
var limiter = "latency-gradient"
var names: [String] = []
var arguments = CommandLine.arguments.dropFirst().makeIterator()
while let argument = arguments.next() {
  switch argument {
  case "--seeds":
    let bounds = (arguments.next() ?? "").split(separator: "-").compactMap { Int($0) }
    guard let last = bounds.last, last >= 1 else { refuse("--seeds takes N or FROM-TO, from 1") }
    let first = bounds.count > 1 ? bounds[0] : 1
    guard (1...last).contains(first) else { refuse("--seeds takes N or FROM-TO, from 1") }
    seeds = first...last
  case "--limiter": limiter = arguments.next() ?? limiter
  default: names.append(argument)
  }
}
if Limiter(named: limiter) == nil { refuse("no limiter is named \(limiter)") }
for name in names where Trials.named(name) == nil { refuse("no scenario is named \(name)") }

func shown(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return "never" }
  let scale = pow(10, Double(digits))
  let text = String((value * scale).rounded() / scale)
  return text
}

func padded(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

let columns = [
  "goodput", "crit", "crit1s", "cp50", "cp99", "p50", "p99", "qp99", "shed", "conv", "rec", "jain",
  "limit",
]
print(padded("scenario", 16), "seed", columns.map { padded($0, 8) }.joined())
var missed = 0
for trial in Trials.all where names.isEmpty || names.contains(trial.scenario.name) {
  for seed in seeds {
    let report = Simulation.run(trial.scenario, seed: UInt64(seed), limiterNamed: limiter)
    let figures = [
      shown(report.goodput * 100, 1), shown(report.critical * 100, 2),
      shown(report.criticalFirstSecond * 100, 1), shown(report.criticalMedian * 1_000, 1),
      shown(report.critical99 * 1_000, 1), shown(report.median * 1_000, 1),
      shown(report.latency99 * 1_000, 1), shown(report.queueWait99 * 1_000, 1),
      shown(report.shed * 100, 3), shown(report.convergence, 1), shown(report.recovery, 1),
      shown(report.fairness, 3), shown(report.meanLimit, 0),
    ]
    print(
      padded(trial.scenario.name, 16),
      padded("\(seed)", 4),
      figures.map { padded($0, 8) }.joined()
    )
    for goal in trial.goals where !goal.isMet(by: report) {
      missed += 1
      let relation = goal.isMinimum ? "at least" : "at most"
      print("    MISSED \(goal.name): \(goal.figure(report)), \(relation) \(goal.bound)")
    }
    if report.leaked != 0 {
      missed += 1
      print("    LEAKED \(report.leaked) permits")
    }
  }
}
print(missed == 0 ? "every goal was reached" : "\(missed) goals were missed")
exit(missed == 0 ? 0 : 1)
