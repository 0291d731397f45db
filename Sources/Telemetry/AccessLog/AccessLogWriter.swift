internal import Synchronization
internal import Units

/// Drains the rings of all workers on a thread of its own and writes JSON lines.
public final class AccessLogWriter: Sendable {
  /// Records taken from one ring before the next one's turn.
  private static let turn = 512
  /// Bytes formatted before they are written.
  private static let batch = 64 << 10
  /// Milliseconds between looks at the rings, while there is traffic and while there is none; a
  /// ring that fills up faster rings the doorbell.
  private static let busyNap: Int32 = 20
  private static let idleNap: Int32 = 200
  /// Empty looks after which there is no traffic.
  private static let busyRounds = 50
  /// Rounds after the order to stop, several times what full rings need: a worker that goes on
  /// logging cannot keep the thread alive.
  private static let mostLastRounds = 1_000

  /// The table that record fields index into.
  public let names: NameTable
  private let output: AccessLogOutput
  private let rings: [AccessLogRing]
  private let doorbell: Doorbell
  private let control = Locked(Control())
  private let thread = Locked<BackgroundThread?>(nil)
  private let writtenCount = Atomic<UInt64>(0)
  private let failedCount = Atomic<UInt64>(0)

  private struct Control {
    /// The output that the thread shall use from now on, opened by whoever asked for it.
    var next: LogSink?
    var mustStop = false
    var mustReopen = false
  }

  /// Prepares the rings; nothing is opened before `start`.
  ///
  /// - Parameters:
  ///   - output: Where lines go; with `off` records are read and forgotten.
  ///   - workers: How many rings there are.
  ///   - ringCapacity: Bytes of each ring, a power of two.
  ///   - names: The table that record fields index into.
  public init(
    output: AccessLogOutput,
    workers: Int,
    ringCapacity: Int = 1 << 20,
    names: NameTable
  ) {
    self.names = names
    self.output = output
    let doorbell = Doorbell()
    self.doorbell = doorbell
    rings = (0..<workers).map { _ in AccessLogRing(capacity: ringCapacity, doorbell: doorbell) }
  }

  /// Opens the output and starts the thread.
  ///
  /// Called once privileges are gone: a file that only root can open could not be opened again
  /// after it was rotated away.
  ///
  /// - Throws: When the output cannot be opened, to the thread that reports it.
  public func start() throws(TelemetryError) {
    let sink = try LogSink(output)
    control.withLock { $0.next = sink }
    guard let started = BackgroundThread(name: "access-log", run: { [self] in run() }) else {
      throw TelemetryError(.cannotStartThread, "no room for the access log's thread")
    }
    thread.withLock { $0 = started }
  }

  /// The ring of a worker, numbered from zero.
  public func ring(_ worker: Int) -> AccessLogRing { rings[worker] }

  /// Records that found their ring full, over all workers.
  public var dropped: UInt64 { rings.reduce(0) { $0 &+ $1.dropped } }
  /// Lines that were written.
  public var written: UInt64 { writtenCount.load(ordering: .relaxed) }
  /// Lines that the output did not take.
  public var failed: UInt64 { failedCount.load(ordering: .relaxed) }

  /// Opens the file again, for log rotation; the old one is kept when that fails.
  public func reopen() {
    control.withLock { $0.mustReopen = true }
    doorbell.wake()
  }

  /// Writes to another output from the next round on; what the rings hold stays.
  public func replaceOutput(with sink: LogSink) {
    control.withLock { $0.next = sink }
    doorbell.wake()
  }

  /// Writes what the rings hold, closes the output and ends the thread.
  public func stop() {
    control.withLock { $0.mustStop = true }
    doorbell.wake()
    thread.withLock { $0 }?.join()
  }

  /// Adds the counters of what was written and lost.
  public func register(in registry: MetricRegistry) {
    counter(registry, "spillway_accesslog_written_total", "Access log lines that were written.") {
      $0.written
    }
    counter(registry, "spillway_accesslog_dropped_total", "Records that found their ring full.") {
      $0.dropped
    }
    counter(
      registry,
      "spillway_accesslog_names_full_total",
      "Times that a name found its table full and was logged as other."
    ) { $0.names.overflowed }
    counter(registry, "spillway_accesslog_failed_total", "Lines that the output did not take.") {
      $0.failed
    }
  }

  private func counter(
    _ registry: MetricRegistry,
    _ name: String,
    _ help: String,
    read: @escaping @Sendable (AccessLogWriter) -> UInt64
  ) {
    registry.register(name, help: help, .counter) { [self] in [MetricSample(Double(read(self)))] }
  }

  private func run() {
    guard var sink = takeNext() else { return }
    var formatter = AccessLogFormatter(names: names)
    var lines: [UInt8] = []
    lines.reserveCapacity(Self.batch + 32 << 10)
    var scratch: [UInt8] = []
    var emptyRounds = 0
    var lastRounds = 0
    while lastRounds < Self.mostLastRounds {
      let orders = control.withLock { control in
        defer { control.mustReopen = false }
        return control
      }
      if orders.mustReopen, (try? sink.open()) == nil {
        failedCount.wrappingAdd(1, ordering: .relaxed)
      }
      var records = 0
      for ring in rings {
        records += drain(ring, &formatter, &lines, &scratch, sink)
      }
      flush(&lines, sink)
      // Behind the flush: what was logged before the change goes where it was meant to go.
      if let next = takeNext() { sink = next }
      emptyRounds = records > 0 ? 0 : emptyRounds + 1
      lastRounds += orders.mustStop ? 1 : 0
      if orders.mustStop && records == 0 { return }
      if records == 0 { nap(Self.span(after: emptyRounds, sink)) }
    }
  }

  private func takeNext() -> LogSink? {
    control.withLock { control in
      defer { control.next = nil }
      return control.next
    }
  }

  /// Milliseconds of the next nap; one without end where nothing is logged.
  private static func span(after emptyRounds: Int, _ sink: LogSink) -> Int32 {
    sink.isOff ? -1 : emptyRounds > busyRounds ? idleNap : busyNap
  }

  private func drain(
    _ ring: AccessLogRing,
    _ formatter: inout AccessLogFormatter,
    _ lines: inout [UInt8],
    _ scratch: inout [UInt8],
    _ sink: LogSink
  ) -> Int {
    let records = ring.drain(limit: Self.turn, scratch: &scratch) {
      formatter.append($0, to: &lines)
    }
    if lines.count >= Self.batch { flush(&lines, sink) }
    return records
  }

  private func flush(_ lines: inout [UInt8], _ sink: LogSink) {
    guard !lines.isEmpty else { return }
    let total = lines.count { $0 == UInt8(ascii: "\n") }
    let written = sink.write(lines)
    writtenCount.wrappingAdd(UInt64(written), ordering: .relaxed)
    // What nobody wants to keep has not failed.
    if !sink.isOff { failedCount.wrappingAdd(UInt64(total - written), ordering: .relaxed) }
    lines.removeAll(keepingCapacity: true)
  }

  private func nap(_ milliseconds: Int32) {
    doorbell.fallAsleep()
    // A worker that committed before it could see us asleep is seen now.
    if rings.contains(where: \.isHalfFull) {
      doorbell.answer()
      return
    }
    doorbell.sleep(milliseconds: milliseconds)
  }
}
