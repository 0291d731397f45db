import Upstream

#if FUZZER
import FuzzSupport
#endif

/// What a service says of its load, in either field, with and without a named metric that is wanted.
#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzLoad(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let name: [UInt8] = [UInt8(ascii: "q")]
  name.withUnsafeBufferPointer { name in
    let metric = LoadMetricName(name.baseAddress, count: name.count)
    check(plain: read(bytes, count, .none), named: read(bytes, count, metric), bytes, count)
    check(
      plain: readBinary(bytes, count, .none),
      named: readBinary(bytes, count, metric),
      bytes,
      count
    )
  }
  return 0
}

private typealias Outcome = Result<LoadReport, LoadReportFault>

private func read(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ metric: LoadMetricName) -> Outcome
{
  Result { () throws(LoadReportFault) in try LoadReport.read(bytes, count, metric: metric) }
}

private func readBinary(
  _ bytes: UnsafePointer<UInt8>,
  _ count: Int,
  _ metric: LoadMetricName
) -> Outcome {
  Result { () throws(LoadReportFault) in try LoadReport.readBinary(bytes, count, metric: metric) }
}

private func check(
  plain: Outcome,
  named: Outcome,
  _ bytes: UnsafePointer<UInt8>,
  _ count: Int
) {
  if count > LoadReport.mostBytes { require(plain == .failure(.tooLong), "a bound is a bound") }
  guard case .success(let report) = plain else {
    require((try? named.get()) == nil, "what is no report is none with a metric either")
    return
  }
  let numbers = [
    report.cpuUtilization, report.memoryUtilization, report.applicationUtilization,
    report.requestsPerSecond, report.errorsPerSecond, report.namedMetric,
  ]
  require(numbers.allSatisfy { $0.isFinite && $0 >= 0 }, "numbers are finite and not negative")
  require(report.memoryUtilization <= 1, "no more memory is used than there is")
  require(report.namedMetric == 0, "nothing is named that was not asked for")
  if case .success(let other) = named {
    var same = other
    same.namedMetric = 0
    require(same == report, "a metric changes nothing else")
  }
  for utilization in [report.cpuUtilization, report.applicationUtilization] {
    let weight = LoadReportSettings().weight(report, utilization: utilization)
    require(weight.isFinite && weight >= 0, "a weight is one")
    var weights = ReportedWeights()
    for value in [weight, 1, weight] { weights.add(value) }
    require((1...1_000).contains(weights.scaled(weight)), "and is used as a whole number")
  }
}
