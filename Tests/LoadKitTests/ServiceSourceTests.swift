import Configuration
import LoadKit
import Testing
import Units

struct ServiceSourceTests {
  @Test func `every field of a service is read`() throws {
    let settings = try ServiceSource.parse(
      """
      workers: 8
      serviceTime: {lognormal: 30ms, sigma: 0.5}
      backlog: 100
      knee: {requests: 50, slowdown: 0.5}
      abandoned: dropped
      answer: 2KiB
      faults: {error: 1%, reset: 2%, hang: 3%, unavailable: 5%, drop: 6%, slowBody: 4%, slowBodyTime: 1s}
      seed: 9
      endpoints: 4
      routes:
        - {path: /slow, serviceTime: {fast: 1ms, slow: 9ms, slowShare: 25%}, answer: 5B}
        - {path: /other, serviceTime: {exponential: 7ms}}
      """,
      file: "service.yaml"
    )

    var expected = ServiceSettings()
    expected.workers = 8
    expected.serviceTime = .lognormal(mean: .milliseconds(30), sigma: 0.5)
    expected.backlog = 100
    expected.knee = .init(requests: 50, slowdown: 0.5)
    expected.finishesAbandoned = false
    expected.answerSize = 2_048
    expected.faults.error = 0.01
    expected.faults.reset = 0.02
    expected.faults.hang = 0.03
    expected.faults.unavailable = 0.05
    expected.faults.drop = 0.06
    expected.faults.slowBody = 0.04
    expected.faults.slowBodyTime = .seconds(1)
    expected.seed = 9
    expected.endpoints = 4
    expected.routes = [
      .init(
        pathPrefix: "/slow",
        serviceTime: .bimodal(fast: .milliseconds(1), slow: .milliseconds(9), slowShare: 0.25)
      ),
      .init(pathPrefix: "/other", serviceTime: .exponential(mean: .milliseconds(7))),
    ]
    expected.routes[0].answerSize = 5
    #expect(settings == expected)
  }

  @Test func `what is left out has its default`() throws {
    let settings = try ServiceSource.parse("workers: 1\nbacklog: endless\n", file: "s")

    var expected = ServiceSettings()
    expected.workers = 1
    #expect(settings == expected)
    #expect(settings.backlog == nil)
  }

  @Test(arguments: [
    "workers: 0", "workers: -1", "workers: 1e3", "worker: 3", "workers: [1]",
    "serviceTime: fast", "serviceTime: {exponential: 1ms, lognormal: 1ms}",
    "serviceTime: {lognormal: 1ms, sigma: 5}", "serviceTime: {fast: 1ms, slow: 2ms}",
    "serviceTime: {fast: 1ms, slow: 2ms, slowShare: 110%}", "serviceTime: 2h",
    "backlog: -1", "backlog: many", "knee: {requests: 5}", "knee: {requests: 0, slowdown: 1}",
    "knee: {requests: 5, slowdown: 101}", "abandoned: maybe", "answer: 65MiB",
    "faults: {error: 2}", "faults: {errors: 1%}", "routes: [{serviceTime: 1ms}]",
    "routes: [{path: relative}]", "routes: [{path: \"/a\\\\b\"}]", "- 1", "a: b: c",
  ])
  func `what makes no sense is refused where it stands`(text: String) {
    let error = #expect(throws: ConfigurationError.self) {
      try ServiceSource.parse(text + "\n", file: "service.yaml")
    }
    #expect(error?.description.contains("service.yaml:") == true, "\(String(describing: error))")
  }
}
