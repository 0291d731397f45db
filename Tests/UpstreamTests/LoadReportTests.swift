import Testing
import Units
import Upstream

/// What a field says, or why it is not used.
private func read(
  _ text: String,
  metric: String = ""
) -> Result<LoadReport, LoadReportFault> {
  let (bytes, name) = (Array(text.utf8), Array(metric.utf8))
  return name.withUnsafeBufferPointer { name in
    bytes.withUnsafeBufferPointer { bytes in
      guard let start = bytes.baseAddress else { return .failure(.malformed) }
      let metric = LoadMetricName(name.baseAddress, count: name.count)
      return Result { () throws(LoadReportFault) in
        try LoadReport.read(start, bytes.count, metric: metric)
      }
    }
  }
}

/// The number that a report gives for a metric.
private func named(_ text: String, _ metric: String) -> Double? {
  guard case .success(let report) = read(text, metric: metric) else { return nil }
  return report.namedMetric
}

private func report(_ change: (inout LoadReport) -> Void) -> Result<LoadReport, LoadReportFault> {
  var report = LoadReport()
  change(&report)
  return .success(report)
}

struct LoadReportTests {
  @Test func `the form of text has all numbers`() {
    let text =
      "TEXT cpu_utilization=0.3, mem_utilization=.8,application_utilization = 1.25 ,"
      + "rps_fractional=1.5e3,eps=2,named_metrics.queue=7,utilization.disk=0.1,unknown=word"
    let expected = report {
      $0.cpuUtilization = 0.3
      $0.memoryUtilization = 0.8
      $0.applicationUtilization = 1.25
      $0.requestsPerSecond = 1_500
      $0.errorsPerSecond = 2
    }

    #expect(read(text) == expected)
    #expect(named(text, "queue") == 7)
    #expect(named(text, "queu") == 0)
    #expect(read("TEXT eps:2") == report { $0.errorsPerSecond = 2 })
    #expect(read("TEXT ,,") == report { _ in })
  }

  @Test func `the form of JSON has them by both names`() {
    let text = """
      JSON {"cpu_utilization": 0.3, "memUtilization":0.8 , "application_utilization":1.25,
      "rpsFractional": "1500", "eps": 2e0, "request_cost": {"a": [1, {"b": "}"}], "c": null},
      "named_metrics": {"other\\"": 1, "queue": 7.5}, "rps": 3}
      """
    let expected = report {
      $0.cpuUtilization = 0.3
      $0.memoryUtilization = 0.8
      $0.applicationUtilization = 1.25
      $0.requestsPerSecond = 1_500
      $0.errorsPerSecond = 2
    }

    #expect(read(text) == expected)
    #expect(named(text, "queue") == 7.5)
    #expect(read("JSON {}") == report { _ in })
    #expect(read(#"JSON {"eps": null}"#) == report { _ in })
    #expect(read(#"JSON {"rps": "12"}"#) == report { $0.requestsPerSecond = 12 })
  }

  /// cpu_utilization 0.25, rps_fractional 100, named_metrics {"q": 0.5}, application_utilization 0.75,
  /// made by protobuf's own encoder.
  private static let message = "CQAAAAAAANA/MQAAAAAAAFlAQgwKAXERAAAAAAAA4D9JAAAAAAAA6D8"

  @Test(arguments: ["", "=", "BIN "])
  func `the message itself is read in base64`(around: String) {
    let text = around == "BIN " ? around + Self.message : "BIN " + Self.message + around
    let expected = report {
      $0.cpuUtilization = 0.25
      $0.requestsPerSecond = 100
      $0.applicationUtilization = 0.75
    }

    #expect(read(text) == expected)
    #expect(named(text, "q") == 0.5)
  }

  @Test(arguments: [
    "", "TEXT", "TEXTeps=1", "text eps=1", "PLAIN eps=1", "{}", "TEXT eps", "TEXT eps=", "TEXT =1",
    "TEXT eps=one", "TEXT eps=1x", "TEXT eps=nan", "TEXT eps=inf", "TEXT eps=0x1", "TEXT eps=+1",
    "TEXT eps=1,eps=1", "TEXT eps=--1", "TEXT eps=1e", "TEXT eps=.", "TEXT eps,rps=1",
    "JSON", "JSON [", "JSON {", #"JSON {"eps"}"#, #"JSON {"eps":}"#, #"JSON {"eps":1"#,
    #"JSON {"eps":1,}"#, #"JSON {"eps":1} x"#, #"JSON {"eps":true}"#, #"JSON {"eps":"1}"#,
    #"JSON {"eps":1 "rps":2}"#, #"JSON {"a":[1}}"#, #"JSON {"a":"\"#, #"JSON {a:1}"#,
    #"JSON {"eps":1,"eps":1}"#, #"JSON {"a":[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]}"#,
    "BIN", "BIN A", "BIN CQ", "BIN CQAAAAAAANA", "BIN !!!!", "BIN C===", "BIN Ew==",
    "BIN //////////8=",
  ])
  func `what is in none of the forms is not used`(text: String) {
    #expect(read(text) == .failure(.malformed))
  }

  @Test(arguments: [
    "TEXT eps=-1", "TEXT cpu_utilization=-0.1", "TEXT mem_utilization=1.01", "TEXT eps=1e400",
    "TEXT cpu_utilization=1e7", "TEXT rps_fractional=1e13",
    "TEXT eps=99999999999999999999999999999999999999", #"JSON {"eps":-1}"#,
    // A cpu_utilization that is no number, and one that is infinite.
    "BIN CQAAAAAAAPh/", "BIN CQAAAAAAAPB/",
  ])
  func `a number beyond its range spoils the report`(text: String) {
    #expect(read(text) == .failure(.outOfRange))
  }

  @Test(arguments: [
    ("-0", 0), ("0", 0), ("000.5", 0.5), ("1e-400", 0), ("0e9999", 0), ("1E+2", 100),
    ("0.1", 0.1), ("123456.789", 123_456.789), ("1e-300", 1e-300), ("1.", 1), ("12e-1", 1.2),
    ("0.000000000000000000000000000000000001", 1e-36), ("100000000000000000000e-10", 1e10),
  ])
  func `numbers are what they look like`(text: String, expected: Double) throws {
    let value = try read("TEXT eps=\(text)").get().errorsPerSecond
    #expect(abs(value - expected) <= expected * 1e-14)
    #expect(value.sign == .plus)
  }

  @Test func `no more is looked at than a report may have`() {
    let long = "TEXT eps=1," + String(repeating: "a=1,", count: LoadReport.mostBytes / 4)
    #expect(read(long) == .failure(.tooLong))
    #expect(read(String(long.prefix(LoadReport.mostBytes))) != .failure(.tooLong))
  }
}

/// One endpoint's word over time.
struct EndpointLoadTests {
  private let healthMemory = HealthMemory(services: 1)
  private var health: HealthTable { healthMemory.table }
  private let start = Instant(1_000_000_000_000)

  private func say(
    _ rate: Double,
    _ utilization: Double,
    errors: Double = 0,
    at seconds: Double,
    _ settings: LoadReportSettings = LoadReportSettings()
  ) -> Bool {
    var report = LoadReport()
    report.requestsPerSecond = rate
    report.errorsPerSecond = errors
    report.cpuUtilization = utilization
    return health.load(3).note(
      report,
      utilization: LoadReportSettings.utilization(report, named: false),
      at: at(seconds),
      settings
    )
  }

  private func at(_ seconds: Double) -> Instant { start + .milliseconds(Int64(seconds * 1_000)) }

  private func weight(_ seconds: Double) -> Double {
    health.load(3).weight(at: at(seconds), LoadReportSettings())
  }

  @Test func `a weight is used after ten seconds of reports, and for three minutes after the last`()
  {
    #expect(weight(0) == 0)
    #expect(say(100, 0.5, at: 0))
    #expect(weight(9.9) == 0)
    #expect(weight(10) == 200)
    #expect(say(120, 0.4, at: 11))
    #expect(weight(11) == 300)
    #expect(weight(190.9) == 300)
    #expect(weight(191) == 0)

    // What begins again, begins with its blackout.
    #expect(say(120, 0.4, at: 200))
    #expect(weight(205) == 0)
    #expect(weight(210) == 300)
  }

  @Test func `errors make a weight less`() {
    let settings = LoadReportSettings()
    var report = LoadReport()
    report.requestsPerSecond = 100
    report.errorsPerSecond = 50
    #expect(settings.weight(report, utilization: 0.5) == 100)
    var harsh = settings
    harsh.errorPenalty = 3
    #expect(harsh.weight(report, utilization: 0.5) == 50)
    harsh.errorPenalty = 0
    #expect(harsh.weight(report, utilization: 0.5) == 200)
  }

  @Test func `a report without rate or utilization changes no weight`() {
    #expect(say(100, 0.5, at: 0))
    #expect(!say(0, 0.5, at: 12))
    #expect(!say(100, 0, at: 13))
    #expect(weight(14) == 200)
    #expect(health.load(3).utilization(at: at(14), LoadReportSettings()) == 0)
    #expect(health.load(2).utilization(at: at(14), LoadReportSettings()) == nil)
  }

  @Test func `whatever is said, a weight is finite`() {
    var report = LoadReport()
    report.requestsPerSecond = 1e12
    let weight = LoadReportSettings().weight(report, utilization: .leastNonzeroMagnitude)
    #expect(weight.isFinite && weight > 0)
    var weights = ReportedWeights()
    for _ in 0..<4 { weights.add(weight) }
    #expect(weights.scaled(weight) == 100)
  }

  @Test
  func `the utilization is the application's, else that of the processors, or the one chosen`() {
    var report = LoadReport()
    report.cpuUtilization = 0.9
    #expect(LoadReportSettings.utilization(report, named: false) == 0.9)
    report.applicationUtilization = 0.2
    report.namedMetric = 0.7
    #expect(LoadReportSettings.utilization(report, named: false) == 0.2)
    #expect(LoadReportSettings.utilization(report, named: true) == 0.7)
  }

  @Test func `weights are whole numbers around a hundred, and none is far from the mean`() {
    var weights = ReportedWeights()
    weights.add(50)
    #expect(!weights.areOfUse)
    #expect(weights.scaled(50) == 100)
    for weight in [150, 100, 0] as [Double] { weights.add(weight) }
    #expect(weights.areOfUse)
    #expect([50, 150, 100, 0].map { weights.scaled($0) } == [50, 150, 100, 100])
    var steep = ReportedWeights()
    steep.add(1e18)
    for _ in 0..<99 { steep.add(1e-9) }
    #expect(steep.scaled(1e18) == 1_000)
    // Who claims to have no end of room leaves the others nearly what they had.
    #expect(steep.scaled(1e-9) == 92)
    #expect(steep.scaled(1e-12) == 1)
  }
}
