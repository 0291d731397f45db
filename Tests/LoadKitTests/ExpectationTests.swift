import LoadKit
import Testing
import Units

struct ExpectationTests {
  private struct Sample: Measured {
    var capacity = 1_000.0
    var all = Sample.make()
    var byClass: [Int: Figures] = [:]
    var calm: Figures?
    var counters: [String: Double] = ["received": 10_300, "first_second": 1_250]

    func backend(_ counter: String) -> Double? { counters[counter] }

    func figures(priority: Int?, phase: Int?) -> Figures {
      priority.flatMap { byClass[$0] } ?? all
    }

    func unloaded(priority: Int?) -> Figures? { calm }

    static func make(
      offered: Double = 10_000,
      success: Double = 9_700,
      latency milliseconds: [Double] = [10, 20, 30]
    ) -> Figures {
      let latencies = Histogram()
      for value in milliseconds { latencies.record(Int64(value * 1e6)) }
      return Figures(
        offered: offered,
        attempts: offered * 2,
        success: success,
        late: 100,
        shed: 150,
        failed: 30,
        errors: 20,
        duration: 10,
        latencies: latencies
      )
    }
  }

  private func expectation(_ text: String) throws(LoadKit.Expectation.Fault) -> LoadKit.Expectation
  {
    try LoadKit.Expectation(
      text,
      classes: ["critical", "p1"],
      phases: ["calm", "overload"],
      hasUnloaded: true
    )
  }

  @Test func `the parts are read`() throws {
    let one = try expectation("critical.success in overload >= 99.9 %")
    #expect(one.priority == 0 && one.phase == 1)
    #expect(one.measure == .share(.success) && one.comparison == .atLeast)
    #expect(one.bound == .percent(99.9))

    let two = try expectation("goodput>=97% of  capacity")
    #expect(two.priority == nil && two.phase == nil)
    #expect(two.measure == .rate(.goodput) && two.bound == .percentOfCapacity(97))

    let three = try expectation("p1.p99.9 < 1.5 x unloaded")
    #expect(three.priority == 1)
    #expect(three.measure == .percentile(99.9) && three.bound == .timesUnloaded(1.5))

    #expect(try expectation("all.mean <= 20ms").bound == .duration(.milliseconds(20)))
    #expect(try expectation("p50 <= 1.5 s").bound == .duration(.milliseconds(1_500)))
    #expect(try expectation("shed == 0").bound == .count(0))
    #expect(try expectation("maximum > 0ms").measure == .percentile(100))
  }

  @Test(arguments: [
    ("", 0), ("   ", 3), (">= 5", 0), ("success", 7), ("success >=", 10), ("success >= x", 11),
    ("success = 5 %", 8), ("success >= 5 /s", 13), ("success >= 101 %", 11),
    ("goodput >= 5 %", 13), ("goodput >= 5", 12), ("p99 <= 5", 8), ("p99 <= 5 x", 9),
    ("p101 <= 5ms", 0), ("p9.9.9 <= 5ms", 0), ("nobody.success >= 5 %", 0),
    ("backend.received <= 5 %", 22), ("backend.received <= 5ms", 21),
    ("backend.received in calm <= 5", 17), ("success >= 5 % of offered", 13),
    ("critical.speed >= 5 %", 9), ("success in night >= 5 %", 11), ("success >= 1e3 %", 12),
    ("success >= 99,9 %", 13), ("critical. >= 5 %", 9), ("success >= 5 % of capacity", 13),
  ])
  func `what cannot be understood is refused where it begins`(text: String, offset: Int) {
    do {
      let read = try expectation(text)
      Issue.record("understood as \(read)")
    } catch {
      #expect(error.offset == offset, "\(error.message)")
    }
  }

  @Test func `without a calm stretch nothing is compared with it`() {
    #expect(throws: LoadKit.Expectation.Fault.self) {
      _ = try LoadKit.Expectation(
        "p99 <= 2 x unloaded",
        classes: [],
        phases: [],
        hasUnloaded: false
      )
    }
  }

  @Test(arguments: [
    ("success >= 97 %", true), ("success > 97 %", false), ("success >= 97.01 %", false),
    ("goodput >= 97 % of capacity", true), ("goodput >= 970/s", true), ("goodput > 970/s", false),
    ("attempts == 2000/s", true), ("shed == 150", true), ("shed < 150", false),
    ("errors <= 0.2 %", true), ("late == 1 %", true), ("failed <= 29", false),
    ("p50 <= 20.1ms", true), ("p50 <= 19.9ms", false), ("maximum <= 30.1ms", true),
    ("backend.received <= 103 % of offered", true), ("backend.received == 10300", true),
    ("backend.received < 103 % of offered", false), ("backend.received <= 10299", false),
    ("backend.first_second <= 125 % of capacity", true),
    ("backend.first_second <= 124 % of capacity", false), ("backend.nothing >= 0", false),
    ("mean <= 21ms", true), ("p99 <= 1.6 x unloaded", true), ("p99 <= 1.4 x unloaded", false),
  ])
  func `expectations are judged`(text: String, isMet: Bool) throws {
    let sample = Sample(calm: Sample.make(offered: 0, latency: [10, 20]))

    let verdict = try expectation(text).judge(by: sample)

    #expect(verdict.isMet == isMet, "\(verdict)")
  }

  @Test(arguments: [
    ("success >= 99.9 %", 999.0), ("success >= 99.7 %", 997), ("success >= 70 %", 700),
  ])
  func `a bound that is met to the request is met`(text: String, success: Double) throws {
    let sample = Sample(all: Sample.make(offered: 1_000, success: success))
    let less = Sample(all: Sample.make(offered: 1_000, success: success - 1))

    #expect(try expectation(text).judge(by: sample).isMet)
    #expect(try !expectation(text).judge(by: less).isMet)
  }

  @Test func `what a service received is compared with all that was offered`() throws {
    let sample = Sample(calm: Sample.make(offered: 300))

    let verdict = try expectation("backend.received <= 100 % of offered").judge(by: sample)

    #expect(verdict.isMet, "\(verdict)")
  }

  @Test(arguments: [
    "backend.received <= 100 % of capacity", "critical.success >= 0 %", "critical.p99 <= 1h",
    "critical.p99 <= 100 x unloaded",
    "goodput >= 0 % of capacity",
  ])
  func `what was not measured is not met`(text: String) throws {
    var sample = Sample(capacity: 0)
    sample.byClass[0] = Sample.make(offered: 0, success: 0, latency: [])

    #expect(try expectation(text).judge(by: sample).isMet == false)
  }
}
