internal import Glibc
internal import Synchronization
public import Units

/// How many retries a service may be sent: a share of its requests, and some more.
public struct RetryAllowance: Sendable, Equatable, BitwiseCopyable {
  /// Retries for each request of the window, in `0...1`.
  public var ratio: Double
  /// Retries a second beside that, so that a service with few requests has some.
  public var minimumPerSecond: Double

  public init(ratio: Double, minimumPerSecond: Double) {
    precondition((0...1).contains(ratio) && minimumPerSecond >= 0, "unvalidated settings")
    self.ratio = ratio
    self.minimumPerSecond = minimumPerSecond
  }
}

/// The retries of one service, shared by all workers: when everything fails, the service sees a fifth
/// more requests than its clients send and not a multiple.
///
/// What is allowed in ten seconds is spread over them: no second has more than its share, or one
/// where that is less. Else a service that breaks after a quiet time would be sent ten seconds' worth
/// at once, twice its usual load, and again whenever the window has passed.
///
/// Each worker counts into cells of its own, by the second; who wants a retry adds them all up. A
/// retry that waits counts from the moment it is granted, or all that fail together would be granted
/// together. Requests are counted over the last nine seconds and the present one, retries over one
/// second more, so that no ten seconds ever have more than allowed.
///
/// Source: Finagle's `RetryBudget`, which Linkerd has too; Envoy's and Gateway API's share of 20 %.
public final class RetryBudget: @unchecked Sendable {
  // Safe to share: the pointer never changes and what it points to are atomics.

  /// Seconds that are looked back.
  public static let window = 10

  private static let slots = 16
  /// A worker's cells: requests, then retries, by the second.
  private static let stride = slots * 2
  private static let lineCells = 8

  private let workers: Int
  /// First the retries that wait, on a cache line of their own.
  private let cells: UnsafeMutablePointer<Atomic<UInt64>>

  /// - Parameter workers: Threads that count, each by its number.
  public init(workers: Int) {
    precondition(workers >= 1, "no workers")
    self.workers = workers
    cells = zeroedMemory(Atomic<UInt64>.self, Self.lineCells + workers * Self.stride)
  }

  deinit { free(cells) }

  /// Counts a request's first attempt; the worker's own thread only.
  public func countRequest(worker: Int, at now: Instant) {
    count(Self.lineCells + worker * Self.stride, at: now)
  }

  /// Takes a retry out of the budget, to be ended by `spend` or `giveBack`.
  ///
  /// - Parameters:
  ///   - allowance: What the service's settings say now.
  ///   - now: The time of this turn.
  /// - Returns: False when there is none left.
  public func reserve(_ allowance: RetryAllowance, at now: Instant) -> Bool {
    let waiting = cells[0].wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
    guard leftover(Double(waiting), of: allowance, at: now) >= 0 else {
      giveBack()
      return false
    }
    return true
  }

  /// A retry that was reserved goes out; the worker's own thread only.
  public func spend(worker: Int, at now: Instant) {
    count(Self.lineCells + worker * Self.stride + Self.slots, at: now)
    // It is counted before it stops to wait: nobody sees it in neither place.
    giveBack()
  }

  /// A retry that was reserved does not go out.
  public func giveBack() {
    cells[0].wrappingSubtract(1, ordering: .acquiringAndReleasing)
  }

  /// Retries that were reserved and have not gone out.
  public var waiting: Int { Int(cells[0].load(ordering: .relaxed)) }

  /// How much of the budget is left, in `0...1`; 0 where there is none at all.
  public func remainingRatio(_ allowance: RetryAllowance, at now: Instant) -> Double {
    max(0, leftover(Double(waiting), of: allowance, at: now))
  }

  /// The part of the budget that is left beside so many that wait, negative when they are too many:
  /// the lesser of what the window and what the present second have.
  private func leftover(
    _ waiting: Double,
    of allowance: RetryAllowance,
    at now: Instant
  ) -> Double {
    let counts = counts(at: now)
    let window = Double(Self.window)
    let least = allowance.minimumPerSecond
    let allowed = allowance.ratio * counts.requests + least * window
    let rate = max(counts.requestsNow, counts.requests / window)
    let allowedNow = max(1, allowance.ratio * rate + least)
    guard allowed > 0 else { return waiting > 0 ? -1 : 0 }
    return min(
      (allowed - counts.retries - waiting) / allowed,
      (allowedNow - counts.retriesNow - waiting) / allowedNow
    )
  }

  // MARK: - Cells

  /// The second that a cell counts, and what it came to: a cell of another second counts nothing.
  private static func second(_ now: Instant) -> UInt32 {
    UInt32(truncatingIfNeeded: now.rawValue / 1_000_000_000)
  }

  private func count(_ first: Int, at now: Instant) {
    let second = Self.second(now)
    let cell = first + Int(second) % Self.slots
    let word = cells[cell].load(ordering: .relaxed)
    let before = UInt32(word >> 32) == second ? word & 0xFFFF_FFFF : 0
    let next = UInt64(second) << 32 | min(before + 1, 0xFFFF_FFFF)
    cells[cell].store(next, ordering: .releasing)
  }

  /// What all workers counted.
  private struct Counts {
    var requests = 0.0
    var requestsNow = 0.0
    var retries = 0.0
    var retriesNow = 0.0
  }

  private func counts(at now: Instant) -> Counts {
    let second = Self.second(now)
    var counts = Counts()
    for worker in 0..<workers {
      let first = Self.lineCells + worker * Self.stride
      for slot in 0..<Self.slots {
        let (age, requests) = read(first + slot, second)
        // A worker whose turn began later may be a second ahead.
        if age < Self.window { counts.requests += requests }
        if age <= 0 { counts.requestsNow += requests }
        let (retryAge, retries) = read(first + Self.slots + slot, second)
        if retryAge <= Self.window { counts.retries += retries }
        if retryAge <= 0 { counts.retriesNow += retries }
      }
    }
    return counts
  }

  /// How many seconds old a cell is, one that counts nothing any more far too old, and its count.
  private func read(_ cell: Int, _ second: UInt32) -> (age: Int, count: Double) {
    let word = cells[cell].load(ordering: .acquiring)
    let age = Int(Int32(bitPattern: second &- UInt32(word >> 32)))
    return (age >= -1 ? age : .max, Double(word & 0xFFFF_FFFF))
  }
}
