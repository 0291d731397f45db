/// What an endpoint says of its load with a response, in the field `endpoint-load-metrics`, or as the
/// message itself in `endpoint-load-metrics-bin`, as services of gRPC do.
///
/// ```
/// TEXT application_utilization=0.7,rps_fractional=120,eps=0.5,named_metrics.queue=0.2
/// JSON {"application_utilization": 0.7, "rps_fractional": 120, "named_metrics": {"queue": 0.2}}
/// ```
///
/// The third form of the first field is `BIN` with the message in base64. A number that is not said
/// is 0, as in the message.
///
/// Source: `xds.data.orca.v3.OrcaLoadReport`, its ranges and its mapping to JSON; the field and its
/// prefixes are Envoy's.
public struct LoadReport: Hashable, Sendable, BitwiseCopyable {
  /// Share of the processors that is in use; may be above 1.
  public var cpuUtilization = 0.0
  /// Share of the memory, in `0...1`.
  public var memoryUtilization = 0.0
  /// What the application itself says of how busy it is; 1 is as much as it should have.
  public var applicationUtilization = 0.0
  /// Requests that it serves in a second, for all that ask it.
  public var requestsPerSecond = 0.0
  /// Those of them that fail.
  public var errorsPerSecond = 0.0
  /// The named metric that was asked for.
  public var namedMetric = 0.0

  public init() {}

  /// Bytes of a field that are looked at: a report has a dozen numbers.
  public static let mostBytes = 4_096

  /// Reads a field's value.
  ///
  /// It allocates nothing, and looks at each byte a few times at most, whatever they are. Names that
  /// are not known are passed over; one that is known and comes twice is a fault, since nobody knows
  /// which of the two is meant.
  ///
  /// - Parameters:
  ///   - bytes: The value.
  ///   - count: How many bytes it has.
  ///   - metric: The named metric that is wanted.
  /// - Returns: Its numbers, each finite and within its range.
  /// - Throws: Why it is not used, none of it.
  public static func read(
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    metric: LoadMetricName = .none
  ) throws(LoadReportFault) -> LoadReport {
    guard count <= mostBytes else { throw .tooLong }
    var reader = LoadReportReader(LoadReportCursor(bytes, count), metric: metric)
    reader.cursor.skipSpace()
    if reader.cursor.take(prefix: "TEXT") {
      try reader.readText()
    } else if reader.cursor.take(prefix: "JSON") {
      try reader.readJSON()
    } else if reader.cursor.take(prefix: "BIN") {
      let start = reader.cursor.at
      return try readBinary(bytes + start, count - start, metric: metric)
    } else {
      throw .malformed
    }
    return reader.report
  }

  /// Reads the message itself, in base64.
  ///
  /// - Parameters:
  ///   - bytes: The value.
  ///   - count: How many bytes it has.
  ///   - metric: The named metric that is wanted.
  /// - Returns: Its numbers, each finite and within its range.
  /// - Throws: Why it is not used, none of it.
  public static func readBinary(
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    metric: LoadMetricName = .none
  ) throws(LoadReportFault) -> LoadReport {
    guard count <= mostBytes else { throw .tooLong }
    guard let message = Base64View(bytes, count) else { throw .malformed }
    var reader = LoadReportReader(LoadReportCursor(bytes, count), metric: metric)
    try reader.readMessage(message)
    return reader.report
  }
}

/// Why a report is not used.
public enum LoadReportFault: UInt8, Error, Sendable, CaseIterable, BitwiseCopyable {
  /// It has more than `LoadReport.mostBytes`.
  case tooLong
  /// It is not in one of the forms, or says one thing twice.
  case malformed
  /// A number is negative, not finite, or beyond what it can be.
  case outOfRange
}

/// The name of a metric among those that a service names itself, as bytes that outlive whoever uses it.
public struct LoadMetricName: @unchecked Sendable, BitwiseCopyable {
  // Safe to share: what it points to is immutable.
  let bytes: UnsafePointer<UInt8>?
  let count: Int

  /// `bytes`: The name without `named_metrics.`, empty for none.
  public init(_ bytes: UnsafePointer<UInt8>?, count: Int) {
    self.bytes = bytes
    self.count = bytes == nil ? 0 : count
  }

  public static var none: LoadMetricName { LoadMetricName(nil, count: 0) }

  public var isNone: Bool { count == 0 }
}
