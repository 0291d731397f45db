import Foundation
import Testing
import Units
import Upstream

/// The budget of retries on a virtual clock.
@Suite struct RetryBudgetTests {
  private static let usual = RetryAllowance(ratio: 0.2, minimumPerSecond: 10)

  private static func instant(_ milliseconds: Int64) -> Instant {
    Instant(1_000_000_000_000) + .milliseconds(milliseconds)
  }

  /// Everything fails: each request asks for one retry, which goes out after a back-off and fails.
  ///
  /// - Returns: When requests came and when retries went out, in milliseconds.
  private static func outage(
    perSecond: Int,
    seconds: Int,
    workers: Int,
    quietBefore: Int = 0,
    allowance: RetryAllowance = usual
  ) -> (requests: [Int64], retries: [Int64]) {
    let budget = RetryBudget(workers: workers)
    var random = SplitMix64(seed: UInt64(perSecond))
    var requests: [Int64] = []
    var retries: [Int64] = []
    var due: [(at: Int64, worker: Int)] = []
    let total = (quietBefore + seconds) * perSecond
    for number in 0..<total {
      let now = Int64(number * 1_000 / perSecond)
      for entry in due where entry.at <= now {
        budget.spend(worker: entry.worker, at: instant(entry.at))
        retries.append(entry.at)
      }
      due.removeAll { $0.at <= now }
      let worker = Int(random.next() % UInt64(workers))
      budget.countRequest(worker: worker, at: instant(now))
      requests.append(now)
      guard now >= Int64(quietBefore) * 1_000, budget.reserve(allowance, at: instant(now)) else {
        continue
      }
      let wait = RetryBackoff.wait(retry: 1, using: &random).rawValue / 1_000_000
      due.append((now + wait + 1, worker))
    }
    return (requests, retries)
  }

  @Test(arguments: [1, 5, 50, 400, 2_000], [1, 4])
  func `in a total outage no ten seconds have more than a fifth of the requests and 10 a second`(
    perSecond: Int,
    workers: Int
  ) {
    let (requests, retries) = Self.outage(
      perSecond: perSecond,
      seconds: 40,
      workers: workers,
      quietBefore: 12
    )

    for span in [1, 2, 5, 10] {
      for second in 0...(52 - span) {
        let window = Int64(second) * 1_000..<Int64(second + span) * 1_000
        let repeated = retries.count { window.contains($0) }
        // What went out at the window's beginning was granted a back-off before.
        let first = requests.count { $0 < window.upperBound && $0 >= window.lowerBound - 50 }
        let bound = 0.2 * Double(first) + 10 * Double(span)
        #expect(Double(repeated) <= bound + bound / Double(span), "\(span) s from \(second) s")
        if span == 10 { #expect(Double(repeated) <= bound, "from \(second) s") }
      }
    }
    #expect(Double(retries.count) <= 0.2 * Double(40 * perSecond) + 400)
    // It is a budget and no ban: what is allowed is used, where so many fail.
    let wanted = min(40 * perSecond, 40 * (perSecond / 5 + 10))
    #expect(retries.count * 10 >= wanted * 7, "\(retries.count) of \(wanted)")
  }

  @Test func `a service that breaks after a quiet time is not sent all of the budget at once`() {
    let budget = RetryBudget(workers: 1)
    for millisecond in 0..<10_000 {
      budget.countRequest(worker: 0, at: Self.instant(Int64(millisecond)))
    }
    var granted = 0

    while budget.reserve(Self.usual, at: Self.instant(9_999)) { granted += 1 }

    // A thousand requests a second: a fifth of them, and ten.
    #expect(granted == 210)
  }

  @Test func `those that wait are counted, and those that come back are not`() {
    let budget = RetryBudget(workers: 1)
    let now = Self.instant(0)
    let few = RetryAllowance(ratio: 0, minimumPerSecond: 3)

    #expect((0..<5).map { _ in budget.reserve(few, at: now) } == [true, true, true, false, false])
    #expect(budget.waiting == 3)
    budget.giveBack()
    #expect(budget.reserve(few, at: now))
    #expect(!budget.reserve(few, at: now))
    for _ in 0..<3 { budget.spend(worker: 0, at: now) }
    #expect(budget.waiting == 0)
    #expect(!budget.reserve(few, at: Self.instant(999)), "this second's share is used")
    #expect(budget.reserve(few, at: Self.instant(1_000)))
  }

  @Test func `sent ones are forgotten after ten seconds and not before`() {
    let budget = RetryBudget(workers: 1)
    let one = RetryAllowance(ratio: 0, minimumPerSecond: 0.1)
    #expect(budget.reserve(one, at: Self.instant(999)))
    budget.spend(worker: 0, at: Self.instant(999))

    #expect(!budget.reserve(one, at: Self.instant(10_998)))
    #expect(budget.reserve(one, at: Self.instant(11_000)))
  }

  @Test func `a retry that waits longer than the window still counts`() {
    let budget = RetryBudget(workers: 1)
    let one = RetryAllowance(ratio: 0, minimumPerSecond: 0.1)
    #expect(budget.reserve(one, at: Self.instant(0)))

    #expect(!budget.reserve(one, at: Self.instant(25_000)))
  }

  @Test func `requests are forgotten after ten seconds`() {
    let budget = RetryBudget(workers: 2)
    let share = RetryAllowance(ratio: 0.5, minimumPerSecond: 0)
    budget.countRequest(worker: 0, at: Self.instant(0))
    budget.countRequest(worker: 1, at: Self.instant(1))

    #expect(budget.remainingRatio(share, at: Self.instant(9_000)) == 1)
    #expect(budget.reserve(share, at: Self.instant(9_000)))
    #expect(budget.remainingRatio(share, at: Self.instant(9_000)) == 0)
    budget.giveBack()
    #expect(!budget.reserve(share, at: Self.instant(11_000)))
    #expect(budget.remainingRatio(share, at: Self.instant(11_000)) == 0, "there is no budget")
  }

  @Test func `nothing allowed is nothing granted`() {
    let budget = RetryBudget(workers: 1)
    let none = RetryAllowance(ratio: 0, minimumPerSecond: 0)
    for _ in 0..<100 { budget.countRequest(worker: 0, at: Self.instant(0)) }

    #expect(!budget.reserve(none, at: Self.instant(0)))
    #expect(budget.waiting == 0)
  }

  @Test func `cells that come round again count anew`() {
    let budget = RetryBudget(workers: 1)
    let share = RetryAllowance(ratio: 1, minimumPerSecond: 0)
    for second in 0..<64 {
      for _ in 0..<3 { budget.countRequest(worker: 0, at: Self.instant(Int64(second) * 1_000)) }
      var granted = 0
      while budget.reserve(share, at: Self.instant(Int64(second) * 1_000)) { granted += 1 }
      #expect(granted == 3, "in second \(second)")
      for _ in 0..<granted { budget.giveBack() }
    }
  }

  @Test func `workers together never get more than there is`() {
    let budget = RetryBudget(workers: 4)
    let some = RetryAllowance(ratio: 0, minimumPerSecond: 100)
    let granted = Locked([0, 0, 0, 0])

    DispatchQueue.concurrentPerform(iterations: 4) { worker in
      var own = 0
      for round in 0..<2_000 where budget.reserve(some, at: Self.instant(0)) {
        own += 1
        // Some go out at once, some wait until the end.
        if round % 2 == 0 { budget.spend(worker: worker, at: Self.instant(0)) }
      }
      granted.withLock { $0[worker] = own }
    }

    let total = granted.withLock { $0.reduce(0, +) }
    #expect(total <= 100)
    // Those that were refused in the same moment may have kept one another out, a few at a time.
    #expect(total >= 90)
  }
}

/// What a rule takes for worth another attempt.
@Suite struct RetryRuleTests {
  @Test func `a rule takes what it names and nothing else`() {
    var rule = RetryRule(retries: 2)
    rule.take(.reset)
    for status in [400, 463, 464, 503, 599, 399, 600] { rule.take(status: status) }
    for call in [1, 14, 32, -1] { rule.take(call: call) }

    #expect(RetryCause.allCases.filter(rule.takes) == [.reset])
    #expect((0...700).filter { rule.takes(status: $0) } == [400, 463, 464, 503, 599])
    #expect((-2...40).filter { rule.takes(call: $0) } == [1, 14])
    #expect(rule.namesCalls && !RetryRule(retries: 1).namesCalls)
  }

  @Test func `a retry waits from nothing to the doubled bound, each time another while`() {
    var random = SplitMix64(seed: 7)
    for (retry, most) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (60, 250)] {
      let waits = (0..<2_000).map { _ in
        RetryBackoff.wait(retry: retry, using: &random).milliseconds
      }
      let bound = Double(most)
      #expect(waits.allSatisfy { (0...bound).contains($0) })
      let mean = waits.reduce(0, +) / 2_000
      #expect(abs(mean - bound / 2) < bound / 20, "full jitter is uniform")
      #expect(waits.contains { $0 < bound / 50 } && waits.contains { $0 > bound * 0.98 })
    }
  }
}
