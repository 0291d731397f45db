/// Writes a snapshot as one of the two text formats.
struct ExpositionWriter {
  private(set) var bytes: [UInt8] = []
  private let format: ExpositionFormat
  private let snapshot: MetricSnapshot

  init(_ snapshot: MetricSnapshot, format: ExpositionFormat) {
    self.snapshot = snapshot
    self.format = format
  }

  mutating func writeAll() {
    for family in snapshot.families { write(family) }
    if format == .openMetrics { put("# EOF\n") }
  }

  private mutating func write(_ family: MetricFamily) {
    // OpenMetrics names a counter's family without the suffix that its samples keep.
    let isBare = format == .openMetrics && family.kind == .counter
    let name = isBare ? String(family.name.dropLast("_total".count)) : family.name
    put("# HELP \(name) \(Labels.escape(family.help, quote: format == .openMetrics))\n")
    put("# TYPE \(name) \(family.kind.rawValue)\n")
    for series in family.series {
      switch family.kind {
      case .counter where family.countsRequests: writeRequests(family.name, series)
      case .counter: writeSample(family.name, series.labels, snapshot.sum(series.cell))
      case .gauge: writeSample(family.name, series.labels, snapshot.gauge(series))
      case .histogram: writeHistogram(family.name, series)
      }
    }
    let samples = family.callbacks.flatMap { $0.read() }.map { ($0.labels.rendered, $0.value) }
    for (labels, value) in samples.sorted(by: { $0.0 < $1.0 }) {
      writeSample(family.name, labels, Self.number(value))
    }
  }

  /// Writes the methods and codes that were counted; the others would be 700 zeros a route.
  private mutating func writeRequests(_ name: String, _ series: MetricFamily.Series) {
    let methods = snapshot.methods(series.cell)
    for (method, methodName) in RequestMethods.names.enumerated()
    where methods & (1 << UInt64(method)) != 0 {
      let first = series.cell + 1 + Int32(method * StatusSlots.count)
      for slot in 0..<StatusSlots.count {
        let count = snapshot.sum(first + Int32(slot))
        guard count > 0 else { continue }
        let (code, codeClass) = StatusSlots.labels(of: slot)
        let own = "method=\"\(methodName)\",code=\"\(code)\",code_class=\"\(codeClass)\""
        writeSample(name, series.labels.isEmpty ? own : "\(series.labels),\(own)", count)
      }
    }
  }

  /// Writes the buckets, whose last is the count by construction; nothing for an idle series.
  private mutating func writeHistogram(_ name: String, _ series: MetricFamily.Series) {
    var total: UInt64 = 0
    // The sum first: a value counted meanwhile is then in the buckets alone, never in the sum alone.
    let sum = snapshot.sum(series.cell)
    let counts = (0..<DurationBuckets.labels.count).map { bucket -> UInt64 in
      total &+= snapshot.sum(series.cell + 1 + Int32(bucket))
      return total
    }
    // A thousand routes without traffic would be 22,000 lines of zeros.
    guard total > 0 || series.labels.isEmpty else { return }
    let comma = series.labels.isEmpty ? "" : ","
    let start = "\(name)_bucket{\(series.labels)\(comma)le=\""
    for (bucket, label) in DurationBuckets.labels.enumerated() {
      put(start)
      put(label)
      put("\"} ")
      put(String(counts[bucket]))
      put("\n")
    }
    writeSample("\(name)_sum", series.labels, Self.seconds(nanoseconds: sum))
    writeSample("\(name)_count", series.labels, total)
  }

  private mutating func writeSample(
    _ name: String,
    _ labels: String,
    _ value: some CustomStringConvertible
  ) {
    put(name)
    if !labels.isEmpty {
      put("{")
      put(labels)
      put("}")
    }
    put(" ")
    put(value.description)
    put("\n")
  }

  private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

  /// A whole number without a point, as integers are written elsewhere.
  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int64(exactly: value).map(String.init) ?? value.description
  }

  /// Exact decimal seconds: a double of a long-lived sum would lose nanoseconds.
  private static func seconds(nanoseconds: UInt64) -> String {
    let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    let digits = String(rest)
    return "\(whole)." + String(repeating: "0", count: 9 - digits.utf8.count) + digits
  }
}

extension MetricRegistry {
  /// Every metric as text; takes the registry's lock briefly, and none that a worker takes.
  public func exposition(_ format: ExpositionFormat) -> [UInt8] {
    var writer = ExpositionWriter(snapshot(), format: format)
    writer.writeAll()
    return writer.bytes
  }
}
