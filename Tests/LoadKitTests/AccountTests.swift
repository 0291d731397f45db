import LoadKit
import Testing
import Units

struct AccountTests {
  private func place(_ phase: Int, _ interval: Int, _ priority: Int) -> Account.Place {
    Account.Place(phase: phase, interval: interval, priority: priority)
  }

  @Test func `what was offered is the sum of what became of it, everywhere`() {
    let account = Account(classes: 3, phases: 2, intervals: 5)
    var generator = SplitMix64(seed: 9)
    var reasons = [ReasonTable.good, ReasonTable.late, account.place(of: .timedOut)]
    reasons.append(account.place(of: .shed, status: 503))
    reasons.append(account.place(of: .failed, status: 500))
    for _ in 0..<10_000 {
      let interval = Int(generator.next() % 5)
      let place = place(interval / 3, interval, Int(generator.next() % 3))
      account.offered(place)
      account.attempted(place)
      let reason = reasons[Int(generator.next() % UInt64(reasons.count))]
      account.attemptEnded(place, reason: reason)
      account.ended(place, reason: reason, latency: .milliseconds(Int64(generator.next() % 100)))
    }

    #expect(account.pending == 0)
    for priority in [nil, 0, 1, 2] as [Int?] {
      let all = account.tally(priority: priority, phases: 0..<2)
      let sum = Outcome.allCases.map { account.count($0, in: all.counts) }.reduce(0, +)
      #expect(sum == all.offered)
      #expect(all.attemptCounts.reduce(0, +) == all.attempts)
      let served = account.count(.good, in: all.counts) + account.count(.late, in: all.counts)
      #expect(account.served(priority: priority, phases: 0..<2).count == served)
      let shed = account.count(.shed, in: all.counts)
      #expect(account.refused(priority: priority, phases: 0..<2).count == shed)
    }
    var offered: UInt64 = 0
    for interval in 0..<5 {
      for priority in 0..<3 {
        let cell = account.interval(interval, priority: priority)
        #expect(cell.counts.reduce(0, +) == cell.offered)
        offered += UInt64(cell.offered)
      }
    }
    #expect(offered == 10_000)
  }

  @Test func `a request that has not ended is pending`() {
    let account = Account(classes: 1, phases: 1, intervals: 1)

    account.offered(place(0, 0, 0))

    #expect(account.pending == 1)
  }

  @Test func `places beyond the run count at its end`() {
    let account = Account(classes: 1, phases: 1, intervals: 2)

    account.offered(place(9, 9, 0))

    #expect(account.tally(priority: nil, phases: 0..<1).offered == 1)
    #expect(account.interval(1, priority: 0).offered == 1)
  }

  @Test func `a word has one place for each outcome`() {
    var table = ReasonTable()
    let shed = table.place(of: .shed, "queue-full")
    let again = table.place(of: .shed, "queue-full")
    let failed = table.place(of: .failed, "queue-full")

    #expect(shed == again)
    #expect(shed != failed)
    #expect(table.entries[shed] == .init(outcome: .shed, name: "queue-full"))
  }

  @Test func `a target that invents words fills no memory`() {
    var table = ReasonTable()
    for number in 0..<100_000 { _ = table.place(of: .shed, "word-\(number)") }
    let last = table.place(of: .shed, "one-more")
    let other = table.place(of: .failed, "one-more")

    #expect(table.entries.count == ReasonTable.capacity)
    #expect(table.entries[last] == .init(outcome: .shed, name: "other"))
    #expect(table.entries[other] == .init(outcome: .failed, name: "other"))
  }

  @Test func `words are cut, and nothing in them can steer a terminal or a page`() {
    var table = ReasonTable()
    let long = table.place(of: .shed, String(repeating: "a", count: 5_000))
    let evil = table.place(of: .shed, "<script>\u{1B}[2J\"&é")
    let empty = table.place(of: .shed, "")

    #expect(table.entries[long].name.utf8.count == ReasonTable.maximumWord)
    #expect(table.entries[evil].name == "?script???2J????")
    #expect(table.entries[empty].name == "unnamed")
  }

  @Test(arguments: ErrorReason.allCases)
  func `each error has its own name`(reason: ErrorReason) {
    let table = ReasonTable()
    let entry = table.entries[table.place(of: reason)]

    #expect(entry == .init(outcome: .error, name: "\(reason.name)"))
    #expect(table.entries.filter { $0 == entry }.count == 1)
  }
}

extension ReasonTable {
  fileprivate mutating func place(of outcome: Outcome, _ word: String) -> Int {
    var word = word
    return word.withUTF8 { place(of: outcome, word: $0) }
  }
}
