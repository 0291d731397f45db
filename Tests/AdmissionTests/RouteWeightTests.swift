import Testing
import Units

@testable import Admission

/// What is believed of how dear a route is.
struct RouteWeightTests {
  /// Requests of one route, each answered after so many milliseconds.
  private func ask(_ worker: TestWorker, route: Int32, _ times: [Double], at start: Double) {
    for (place, time) in times.enumerated() {
      let begin = start + Double(place) * 200
      let permit = worker.ask(UInt64(place), route: route, at: at(begin)).permit
      worker.finish(permit, at: at(begin + time))
      worker.pass(from: begin, to: begin + 190)
    }
  }

  @Test func `a new route beside others is supposed to be like them until its answers say more`()
    throws
  {
    let service = makeService(limiter: .standard)
    let worker = TestWorker(service, 0)
    ask(worker, route: 0, Array(repeating: 20, count: 20), at: 0)
    let usual = try #require(service.inspect()).weights[0]

    // The first answers to come are the quickest.
    ask(worker, route: 1, [2, 2], at: 10_000)
    let first = try #require(service.inspect()).weights[1]
    #expect(first > 0.8 * usual && first < usual)

    ask(worker, route: 1, Array(repeating: 40, count: 200), at: 20_000)
    let last = try #require(service.inspect()).weights[1]
    #expect(last > 1.3 * usual)
  }

  @Test func `the only route of a service is what its first answers say`() throws {
    let service = makeService(limiter: .standard)
    let worker = TestWorker(service, 0)

    ask(worker, route: 1, [20, 20], at: 0)

    #expect(try #require(service.inspect()).weights[1] > 0)
  }
}
