/// Fills a report from one of its forms of text.
struct LoadReportReader {
  var cursor: LoadReportCursor
  private(set) var report = LoadReport()
  let metric: LoadMetricName
  /// Numbers that have come, a bit each.
  private var seen: UInt8 = 0

  /// The numbers that are of use here.
  enum Number: UInt8 {
    case cpu
    case memory
    case application
    case rate
    /// As older services say it, in whole numbers.
    case wholeRate
    case errors
    case named
  }

  /// The most that a utilization and a rate can be.
  private static let mostUtilization = 1e6
  private static let mostRate = 1e12
  /// How deep a value may be that is passed over.
  private static let deepest = 16

  init(_ cursor: LoadReportCursor, metric: LoadMetricName) {
    self.cursor = cursor
    self.metric = metric
  }

  // MARK: - Numbers

  private func number(_ start: Int, _ length: Int) -> Number? {
    func isCalled(_ name: StaticString, or other: StaticString) -> Bool {
      cursor.matches(start, length, name) || cursor.matches(start, length, other)
    }
    if isCalled("cpu_utilization", or: "cpuUtilization") { return .cpu }
    if isCalled("mem_utilization", or: "memUtilization") { return .memory }
    if isCalled("application_utilization", or: "applicationUtilization") { return .application }
    if isCalled("rps_fractional", or: "rpsFractional") { return .rate }
    if isCalled("rps", or: "rps") { return .wholeRate }
    return isCalled("eps", or: "eps") ? .errors : nil
  }

  mutating func take(_ value: Double, as number: Number) throws(LoadReportFault) {
    let bit: UInt8 = 1 << number.rawValue
    guard seen & bit == 0 else { throw .malformed }
    seen |= bit
    let most =
      switch number {
      case .cpu, .application, .named: Self.mostUtilization
      case .memory: 1.0
      case .rate, .wholeRate, .errors: Self.mostRate
      }
    // No number is in no range.
    guard value >= 0, value <= most else { throw .outOfRange }
    // A zero with a sign is none.
    let value = value + 0
    switch number {
    case .cpu: report.cpuUtilization = value
    case .memory: report.memoryUtilization = value
    case .application: report.applicationUtilization = value
    case .rate: report.requestsPerSecond = value
    case .wholeRate:
      if seen & (1 << Number.rate.rawValue) == 0 { report.requestsPerSecond = value }
    case .errors: report.errorsPerSecond = value
    case .named: report.namedMetric = value
    }
  }

  // MARK: - TEXT

  private static let named: StaticString = "named_metrics."

  /// `name=value`, or `name:value`, with commas between.
  mutating func readText() throws(LoadReportFault) {
    while true {
      cursor.skipSpace()
      if cursor.isAtEnd { return }
      if cursor.take(UInt8(ascii: ",")) { continue }
      let start = cursor.at
      while !cursor.isAtEnd, cursor.byte != UInt8(ascii: "="), cursor.byte != UInt8(ascii: ":"),
        cursor.byte != UInt8(ascii: ",")
      {
        cursor.at += 1
      }
      var end = cursor.at
      while end > start, LoadReportCursor.isSpace(cursor.bytes[end - 1]) { end -= 1 }
      guard end > start,
        cursor.take(UInt8(ascii: "=")) || cursor.take(UInt8(ascii: ":"))
      else { throw .malformed }
      try takeText(start, end - start)
    }
  }

  private mutating func takeText(_ start: Int, _ length: Int) throws(LoadReportFault) {
    var wanted = number(start, length)
    let prefix = Self.named.utf8CodeUnitCount
    if wanted == nil, length > prefix, cursor.matches(start, prefix, Self.named),
      cursor.matches(start + prefix, length - prefix, metric)
    {
      wanted = .named
    }
    cursor.skipSpace()
    if let wanted {
      guard let value = cursor.number() else { throw .malformed }
      try take(value, as: wanted)
      cursor.skipSpace()
      guard cursor.isAtEnd || cursor.byte == UInt8(ascii: ",") else { throw .malformed }
    } else {
      while !cursor.isAtEnd, cursor.byte != UInt8(ascii: ",") { cursor.at += 1 }
    }
  }

  // MARK: - JSON

  mutating func readJSON() throws(LoadReportFault) {
    guard cursor.take(UInt8(ascii: "{")) else { throw .malformed }
    while let name = try member() {
      if let wanted = number(name.lowerBound, name.count) {
        try takeJSON(as: wanted)
      } else if !metric.isNone,
        cursor.matches(name.lowerBound, name.count, "named_metrics")
          || cursor.matches(name.lowerBound, name.count, "namedMetrics")
      {
        try readNamed()
      } else {
        try skipValue()
      }
      try endMember()
    }
    cursor.skipSpace()
    guard cursor.isAtEnd else { throw .malformed }
  }

  private mutating func readNamed() throws(LoadReportFault) {
    guard cursor.take(UInt8(ascii: "{")) else { throw .malformed }
    while let name = try member() {
      if cursor.matches(name.lowerBound, name.count, metric) {
        try takeJSON(as: .named)
      } else {
        try skipValue()
      }
      try endMember()
    }
  }

  /// Passes the name of the next member and its colon, or the end of the object.
  private mutating func member() throws(LoadReportFault) -> Range<Int>? {
    cursor.skipSpace()
    if cursor.take(UInt8(ascii: "}")) { return nil }
    let name = try string()
    cursor.skipSpace()
    guard cursor.take(UInt8(ascii: ":")) else { throw .malformed }
    cursor.skipSpace()
    return name
  }

  /// Passes the comma behind a member, if another one follows.
  private mutating func endMember() throws(LoadReportFault) {
    cursor.skipSpace()
    if cursor.take(UInt8(ascii: ",")) {
      cursor.skipSpace()
      guard cursor.byte == UInt8(ascii: "\"") else { throw .malformed }
    } else if cursor.byte != UInt8(ascii: "}") {
      throw .malformed
    }
  }

  /// Passes a string.
  ///
  /// - Returns: What stands between its quotes, escapes as they are: none of our names has one.
  private mutating func string() throws(LoadReportFault) -> Range<Int> {
    guard cursor.take(UInt8(ascii: "\"")) else { throw .malformed }
    let start = cursor.at
    while !cursor.isAtEnd {
      let byte = cursor.byte
      cursor.at += 1
      if byte == UInt8(ascii: "\"") { return start..<(cursor.at - 1) }
      if byte == UInt8(ascii: "\\") {
        guard !cursor.isAtEnd else { throw .malformed }
        cursor.at += 1
      }
    }
    throw .malformed
  }

  /// A number, which may stand in quotes, as whole ones of 64 bits do; null is one that is not said.
  private mutating func takeJSON(as wanted: Number) throws(LoadReportFault) {
    if cursor.matches(cursor.at, 4, "null") {
      cursor.at += 4
      return
    }
    let isQuoted = cursor.take(UInt8(ascii: "\""))
    guard let value = cursor.number(), !isQuoted || cursor.take(UInt8(ascii: "\"")) else {
      throw .malformed
    }
    try take(value, as: wanted)
  }

  /// Passes a value of any kind; what brackets hold is not judged beyond that they match.
  private mutating func skipValue() throws(LoadReportFault) {
    // Bit for bit whether the brackets that are open are those of an object.
    var kinds: UInt32 = 0
    var depth = 0
    repeat {
      cursor.skipSpace()
      switch cursor.byte {
      case UInt8(ascii: "\""): _ = try string()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard depth < Self.deepest else { throw .malformed }
        kinds = kinds << 1 | (cursor.byte == UInt8(ascii: "{") ? 1 : 0)
        depth += 1
        cursor.at += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        let isObject = cursor.byte == UInt8(ascii: "}")
        guard depth > 0, (kinds & 1 == 1) == isObject else { throw .malformed }
        kinds >>= 1
        depth -= 1
        cursor.at += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"):
        guard depth > 0 else { throw .malformed }
        cursor.at += 1
      default: try skipWord()
      }
    } while depth > 0
  }

  /// Passes a number, or one of the words true, false and null.
  private mutating func skipWord() throws(LoadReportFault) {
    let start = cursor.at
    while !cursor.isAtEnd {
      let byte = cursor.byte
      let isLetter = (0x61...0x7A).contains(byte | 0x20)
      let isDigit = (0x30...0x39).contains(byte)
      guard isLetter || isDigit || byte == 0x2B || byte == 0x2D || byte == 0x2E else { break }
      cursor.at += 1
    }
    guard cursor.at > start else { throw .malformed }
  }
}
