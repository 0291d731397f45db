internal import HTTPCodec
internal import Upstream

/// What a report of load came to, as counters tell.
enum LoadReportResult: UInt8, CaseIterable {
  /// A weight followed from it.
  case weight
  /// It lacks the rate or the utilization that a weight takes.
  case noWeight
  case malformed
  case outOfRange
  case tooLong

  static var labels: [String] { allCases.map(\.label) }

  var label: String {
    switch self {
    case .weight: "weight"
    case .noWeight: "no-weight"
    case .malformed: "malformed"
    case .outOfRange: "out-of-range"
    case .tooLong: "too-long"
    }
  }

  init(_ fault: LoadReportFault) {
    switch fault {
    case .malformed: self = .malformed
    case .outOfRange: self = .outOfRange
    case .tooLong: self = .tooLong
    }
  }
}

/// Where an attempt went of a service that prefers the edge's own zone.
enum RequestZone: UInt8, CaseIterable {
  case local
  case other

  static var labels: [String] { allCases.map { "\($0)" } }
}

extension KnownField {
  /// Whether the field says how busy a service is.
  @inline(__always)
  var isLoadReport: Bool { self == .endpointLoadMetrics || self == .endpointLoadMetricsBin }
}
