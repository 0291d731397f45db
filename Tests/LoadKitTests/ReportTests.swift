import Foundation
import LoadKit
import Testing
import Units

struct ReportTests {
  private func report(reason: String = "queue-full") throws -> (RunReport, Account) {
    var scenario = Scenario()
    scenario.classes = ["critical", "normal"]
    scenario.kinds = [RequestKind(name: "a")]
    scenario.phases = [
      Phase(name: "one", load: .multiple(1), duration: .seconds(2)),
      Phase(name: "two", load: .perSecond(7.5), duration: .seconds(2)),
    ]
    let account = Account(classes: 2, phases: 2, intervals: 4)
    var word = reason
    let shed = word.withUTF8 { account.place(of: .shed, word: $0) }
    for index in 0..<400 {
      let interval = index % 4
      let place = Account.Place(phase: interval / 2, interval: interval, priority: index % 2)
      account.offered(place)
      account.attempted(place)
      let reason = index % 8 == 0 ? shed : ReasonTable.good
      account.ended(place, reason: reason, latency: .milliseconds(20))
    }
    let builder = ReportBuilder(scenario, account, capacity: 100)
    let report = RunReport(
      name: "a <b> & \"c\"",
      about: "<script>alert(1)</script>",
      target: "http://x",
      arrivals: "open",
      seed: 1,
      startedAt: "now",
      capacity: 100,
      capacitySource: "stated",
      problems: builder.problems(lagP99: .milliseconds(50)),
      notes: [],
      harness: .init(),
      duration: 4,
      interval: 1,
      phases: builder.phases,
      series: builder.series,
      expectations: builder.judgements,
      backend: [:]
    )
    return (report, account)
  }

  @Test func `figures of phases and points in time are those that were counted`() throws {
    let (report, _) = try report()

    #expect(report.phases.map(\.load) == ["1x", "7.5/s"])
    #expect(report.phases.map(\.start) == [0, 2])
    #expect(report.phases.reduce(0) { $0 + $1.all.offered } == 400)
    #expect(report.phases.reduce(0) { $0 + $1.all.good } == 350)
    #expect(report.phases.reduce(0) { $0 + ($1.all.reasons["shed queue-full"] ?? 0) } == 50)
    let offered = report.series.flatMap(\.offered).reduce(0, +)
    let ended = report.series.flatMap { $0.good + $0.shed }.reduce(0, +)
    #expect(offered == 400 && ended == 400)
  }

  @Test func `a late harness spoils the run, whatever was expected`() throws {
    let (report, _) = try report()

    #expect(report.problems.contains { $0.contains("sent late") })
    #expect(!report.isPassed)
  }

  @Test func `the report survives its JSON`() throws {
    let (report, _) = try report()
    let data = try JSONEncoder().encode(report)
    let back = try JSONDecoder().decode(RunReport.self, from: data)

    #expect(HTMLReport(back).text == HTMLReport(report).text)
  }

  @Test func `the page needs nothing from outside and no name in it is markup`() throws {
    let (report, _) = try report(reason: "<img src=x onerror=alert(1)>")
    let page = HTMLReport(report).text

    #expect(!page.contains("<script"))
    #expect(!page.contains("<img"))
    #expect(page.contains("&lt;script&gt;"))
    for outside in ["src=", "href=", "@import", "url(", "http://www", "https://"] {
      #expect(!page.contains(outside), "\(outside)")
    }
    #expect(page.contains("role=\"img\" aria-label="))
  }

  @Test func `the time axis has round labels that lie within the plot`() throws {
    var (report, _) = try report()
    report.interval = 13.25

    let page = HTMLReport(report).text

    // 53 s: labels at 0, 10, ... 50.
    #expect(page.contains(">50 s</text>") && page.contains(">10 s</text>"))
    #expect(!page.contains(">60 s</text>") && !page.contains(">8.83 s</text>"))
  }

  @Test func `a suite sets runs side by side, and tells what is missing`() throws {
    let (invalid, _) = try report()
    var passed = invalid
    passed.problems = []
    var failed = passed
    failed.expectations = [.init(text: "shed == 0", isMet: false, found: "12")]
    let suite = SuiteReport(
      entries: [
        .init(peer: "a", version: "1", scenario: "one", report: passed),
        .init(peer: "b", version: "2", scenario: "one", report: failed),
        .init(peer: "c<i>", version: "", scenario: "one", report: invalid),
        .init(peer: "d", version: "", scenario: "one", report: nil, trouble: "no & listener"),
      ],
      skipped: ["envoy: not installed"]
    )

    #expect(suite.entries.map(\.verdict) == [.passed, .failed, .invalid, .absent])
    let text = suite.text
    for part in ["unmet: shed == 0   (12)", "no & listener", "skipped: envoy", "invalid: "] {
      #expect(text.contains(part), "\(part)")
    }
    // The heavier of two phases that are alike is either; its offered rate is 100/s.
    #expect(text.contains("100"))
    let page = suite.html
    #expect(page.contains("no &amp; listener") && page.contains("envoy: not installed"))
    #expect(!page.contains("<i>") && !page.contains("<script") && !page.contains("http://www"))
    let again = try JSONDecoder().decode(SuiteReport.self, from: JSONEncoder().encode(suite))
    #expect(again.html == page)
  }

  @Test func `the text has a line for each class and says what is wrong`() throws {
    let (report, _) = try report()
    let text = TextReport(report).text

    #expect(text.contains("critical"))
    #expect(text.contains("INVALID: the harness sent late"))
  }

  @Test(arguments: [
    (0.0, 0, "0"), (1.25, 1, "1.3"), (-0.04, 2, "-0.04"), (1e300, 0, "1000000000000"),
    (.nan, 2, "-"), (.infinity, 2, "-"), (99.999, 2, "100.00"), (0.000001, 6, "0.000001"),
  ])
  func `numbers are plain`(value: Double, digits: Int, text: String) {
    #expect(LoadKit.Decimal.text(value, digits: digits) == text)
  }
}
