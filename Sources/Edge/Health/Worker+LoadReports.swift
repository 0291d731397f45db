internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units
internal import Upstream

/// What services say of their load, in heads and in trailers of responses of either version.
extension Worker {
  /// Takes the report of a response, if its service is one whose reports are of use.
  ///
  /// The exchange may have given its snapshot back: trailers of gRPC come long after the head.
  ///
  /// - Parameters:
  ///   - exchange: Whose response it is.
  ///   - bytes: Where the fields lie.
  ///   - fields: The fields.
  ///   - count: How many there are.
  func noteReports(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ bytes: UnsafePointer<UInt8>,
    _ fields: UnsafePointer<HeadField>,
    _ count: Int
  ) {
    let place = exchange.pointee.endpoint
    guard let policy = newestPolicy(of: place), policy.pointee.choice.pointee.hasReports else {
      return
    }
    for index in 0..<count where fields[index].known.isLoadReport {
      // One of several is enough, and none costs more than the first.
      return note(exchange, bytes, fields[index], policy)
    }
  }

  private func note(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ bytes: UnsafePointer<UInt8>,
    _ field: HeadField,
    _ policy: UnsafePointer<ServicePolicy>
  ) {
    let place = exchange.pointee.endpoint
    let counters = policy.pointee.loadReports
    let metric = policy.pointee.loadMetric
    let report: LoadReport
    do throws(LoadReportFault) {
      let value = bytes + Int(field.valueStart)
      report =
        field.known == .endpointLoadMetrics
        ? try LoadReport.read(value, Int(field.valueLength), metric: metric)
        : try LoadReport.readBinary(value, Int(field.valueLength), metric: metric)
    } catch {
      return meter.reported(counters, LoadReportResult(error))
    }
    let settings = policy.pointee.choice.pointee.reports
    let utilization = LoadReportSettings.utilization(report, named: !metric.isNone)
    let hasWeight = shared.health.load(place)
      .note(report, utilization: utilization, at: reactor.now, settings)
    meter.reported(counters, hasWeight ? .weight : .noWeight)
    // Processors that are all in use may be what a service is for: only its own word, or the metric
    // that was chosen, says that it has too much to do.
    let isOwnWord = !metric.isNone || report.applicationUtilization > 0
    if settings.informsLimit, isOwnWord, exchange.pointee.admission.slot >= 0 {
      admissions[exchange.pointee.admission.slot].pointee.admission.noteUtilization(utilization)
    }
  }

  /// Whether clients get what an endpoint says of its load.
  func forwardsReports(_ place: Int32) -> Bool {
    newestPolicy(of: place)?.pointee.forwardsReports ?? false
  }

  /// Takes the report among trailers that are being relayed.
  ///
  /// - Returns: Whether they are passed on with it; those of a request always are.
  func takeTrailerReports(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    guard reporter >= 0 else { return true }
    let exchange = exchanges[reporter]
    noteReports(exchange, bytes, responseFields, count)
    return forwardsReports(exchange.pointee.endpoint)
  }

  private func newestPolicy(of place: Int32) -> UnsafePointer<ServicePolicy>? {
    guard place >= 0 else { return nil }
    let state = endpoints + Int(place)
    guard state.pointee.policy >= 0, !state.pointee.hasLeft else { return nil }
    return snapshots.newest.policy(state.pointee.policy)
  }
}
