import Glibc
import Logging
import Testing
import Units

@testable import Edge

struct ProcessWatchdogTests {
  private func instant(_ milliseconds: Int64) -> Instant {
    Instant(0) + .milliseconds(milliseconds)
  }

  /// Samples every 100 ms with the counts given, and returns what was said.
  private func verdicts(_ counts: [UInt64]) -> [StallDetector.Verdict] {
    var detector = StallDetector(at: instant(0))
    return counts.enumerated().map { at, count in
      detector.sample(count: count, at: instant(Int64(at + 1) * 100))
    }
  }

  @Test func `a loop that stands still for over a second is said once, and so is its return`() {
    let said = verdicts([2] + Array(repeating: 2, count: 20) + [4]).filter { $0 != .fine }

    #expect(said == [.stalled(.milliseconds(1_100)), .recovered(.milliseconds(2_100))])
  }

  @Test func `waiting in the kernel is no stall, however long`() {
    #expect(verdicts(Array(repeating: 3, count: 100)).allSatisfy { $0 == .fine })
  }

  @Test func `a slow but turning loop is no stall`() {
    let counts = (0..<100).map { UInt64($0 / 9) * 2 }

    #expect(verdicts(counts).allSatisfy { $0 == .fine })
  }

  @Test func `a process that was stopped as a whole does not accuse its workers`() {
    var detector = StallDetector(at: instant(0))
    _ = detector.sample(count: 2, at: instant(100))

    let after = detector.sample(count: 2, at: instant(60_000))

    #expect(after == .fine)
    #expect(!detector.isStalled)
  }

  @Test func `the heartbeat is odd exactly while waiting`() {
    let heartbeat = WorkerHeartbeat(worker: 0)

    #expect(heartbeat.count % 2 == 0)
    heartbeat.willWait()
    #expect(heartbeat.count % 2 == 1)
    heartbeat.didWait()
    #expect(heartbeat.count % 2 == 0)
    heartbeat.didWait()
    #expect(heartbeat.count % 2 == 0)
  }

  @Test func `a hanging worker is reported with its stack`() throws {
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    let (hung, release) = (ends[0], ends[1])
    defer { close(hung) }
    let heartbeat = WorkerHeartbeat(worker: 3)
    let lines = Lines()
    let stalls = Box(-1)
    let watchdog = StallWatchdog(
      heartbeats: [heartbeat],
      logger: Logger(label: "test") { _ in lines },
      onStall: { stalls.set($0) }
    )
    DetachedThread.start(name: "hanging") {
      heartbeat.begin()
      heartbeat.willWait()
      heartbeat.didWait()
      var entry = pollfd(fd: hung, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, -1)
      heartbeat.willWait()
    }

    #expect(watchdog.start())
    try wait { stalls.value >= 0 && !watchdog.isProgressing }
    close(release)
    try wait { watchdog.isProgressing }
    watchdog.stop()

    #expect(stalls.value == 3)
    let text = lines.text
    #expect(text.contains("\"worker\": 3"))
    #expect(text.contains("poll"), "\(text)")
  }
}

private struct NotSeen: Error {}

/// Waits until something is seen, for at most a minute.
private func wait(until isSeen: () -> Bool) throws {
  for _ in 0..<60_000 {
    if isSeen() { return }
    usleep(1_000)
  }
  throw NotSeen()
}

/// A value that two threads share.
private final class Box<Value: Sendable>: Sendable {
  private let stored: Locked<Value>

  init(_ value: Value) { stored = Locked(value) }

  var value: Value { stored.withLock { $0 } }

  func set(_ value: Value) { stored.withLock { $0 = value } }
}

/// A log handler that keeps what it is told.
private struct Lines: LogHandler {
  private let kept = Box("")
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  var text: String { kept.value }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    kept.set(kept.value + "\(event.message) \(event.metadata ?? [:])\n")
  }
}
