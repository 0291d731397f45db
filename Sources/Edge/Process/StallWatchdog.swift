internal import CLinux
internal import Glibc
public import Logging
internal import Synchronization
internal import Units

/// A thread that watches the loops of the workers and says where one hangs.
public final class StallWatchdog: Sendable {
  private let heartbeats: [WorkerHeartbeat]
  private let logger: Logger
  private let onStall: @Sendable (Int) -> Void
  private let stalled = Atomic<Int>(0)
  private let isStopping = Atomic<Bool>(false)

  /// - Parameters:
  ///   - heartbeats: One per worker.
  ///   - logger: Gets a line with the stack when a stall begins and one when it ends.
  ///   - onStall: Called with the worker's index once per stall, on the watchdog's thread.
  public init(
    heartbeats: [WorkerHeartbeat],
    logger: Logger,
    onStall: @escaping @Sendable (Int) -> Void
  ) {
    self.heartbeats = heartbeats
    self.logger = logger
    self.onStall = onStall
  }

  /// Whether no worker hangs right now.
  public var isProgressing: Bool { stalled.load(ordering: .relaxed) == 0 }

  /// Starts the thread.
  ///
  /// - Returns: False when the system gave no thread or no signal handler.
  public func start() -> Bool {
    guard clinux_sampling_install() == 0 else { return false }
    return DetachedThread.start(name: "watchdog") { self.run() }
  }

  /// Lets the thread end within one sampling interval.
  public func stop() { isStopping.store(true, ordering: .relaxed) }

  private func run() {
    var detectors = heartbeats.map { _ in StallDetector(at: Self.now) }
    let sampler = StackSampler()
    while !isStopping.load(ordering: .relaxed) {
      usleep(UInt32(StallDetector.interval.rawValue / 1_000))
      for (at, heartbeat) in heartbeats.enumerated() where heartbeat.threadID != 0 {
        switch detectors[at].sample(count: heartbeat.count, at: Self.now) {
        case .fine: break
        case .stalled(let span): report(heartbeat, span, sampler.sample(heartbeat.threadID))
        case .recovered(let span):
          logger.warning(
            "worker turns again",
            metadata: ["worker": "\(heartbeat.worker)", "stalledSeconds": "\(span.seconds)"]
          )
        }
      }
      stalled.store(detectors.count { $0.isStalled }, ordering: .relaxed)
    }
  }

  private func report(_ heartbeat: WorkerHeartbeat, _ span: Nanoseconds, _ stack: [String]) {
    onStall(heartbeat.worker)
    logger.error(
      "worker stalls: its loop has not turned",
      metadata: [
        "worker": "\(heartbeat.worker)", "seconds": "\(span.seconds)",
        "stack": "\(stack.joined(separator: " < "))",
      ]
    )
  }

  private static var now: Instant { Instant(clinux_monotonic_now()) }
}
