public import Units

/// Counts what a peer costs against what it may cost.
///
/// A bucket of tokens for each kind: frames take tokens, time and useful work bring them back, and
/// an empty bucket names the reason to end the connection. Sources: CVE-2023-44487, CVE-2025-8671,
/// CVE-2019-9511 to 9518, VU#421644 (CONTINUATION).
public struct AbuseBudget: Sendable, BitwiseCopyable {
  /// Fields of one list that cost nothing beyond the request itself; browsers send 20 to 30.
  public static let usualFields = 40
  /// Bytes of a field section that one token pays for, where nobody is told of its fields.
  static let bytesPerToken = 16
  /// Bytes of a section that comes behind the first of its stream; each byte of a larger one is a token,
  /// so that a frame full of references is paid for before it is decoded.
  static let usualTrailers = 1_024
  /// Fields past the bound of one list from which on each weighs much more.
  private static let heavyExcess = 100

  /// What a field past the bound of its list costs: decoding it is for nothing, and a byte is enough
  /// to have it decoded.
  ///
  /// Large ones weigh by the size that the table counts, a token for 32 bytes, as that is what a bomb
  /// of references is made of. Nobody who only does not know the bound is past it by a hundred.
  ///
  /// - Parameters:
  ///   - bytes: Of its name and value.
  ///   - position: Which of the fields past the bound it is, from 1.
  /// - Returns: Tokens, 4 or more.
  static func excessWeight(_ bytes: Int, at position: Int) -> Int {
    max(position < heavyExcess ? 4 : 40, (bytes &+ 32) / 32)
  }

  /// Bytes a DATA frame must carry to earn window updates and pings.
  ///
  /// Without this, a peer that
  /// opens its window by a byte at a time would be paid for it.
  public static let usefulData = 64

  /// Tokens are kept in tenths, so that 100 ms bring a whole number of them back.
  private struct Bucket: BitwiseCopyable {
    var tenths: Int32
    let limit: AbuseLimit

    init(_ limit: AbuseLimit) {
      self.limit = limit
      tenths = limit.burst &* 10
    }

    mutating func take(_ count: Int32) -> Bool {
      tenths &-= count &* 10
      return tenths >= 0
    }

    mutating func give(_ count: Int32) { add(Int64(count) &* 10) }

    mutating func add(_ more: Int64) {
      tenths = Int32(min(Int64(limit.burst) &* 10, Int64(tenths) &+ more))
    }
  }

  private static let step: Int64 = 100_000_000

  private var resets: Bucket
  private var provokedResets: Bucket
  private var fields: Bucket
  private var pings: Bucket
  private var settings: Bucket
  private var priorities: Bucket
  private var emptyFrames: Bucket
  private var tinyFrames: Bucket
  private var windowUpdates: Bucket
  private var unknownFrames: Bucket
  private var refilled = Instant(.min)
  /// The first budget that ran out; the connection is to end for it.
  public private(set) var exhausted: AbuseReason?

  public init(_ limits: AbuseSettings) {
    resets = Bucket(limits.resets)
    provokedResets = Bucket(limits.provokedResets)
    fields = Bucket(limits.fields)
    pings = Bucket(limits.pings)
    settings = Bucket(limits.settings)
    priorities = Bucket(limits.priorities)
    emptyFrames = Bucket(limits.emptyFrames)
    tinyFrames = Bucket(limits.tinyFrames)
    windowUpdates = Bucket(limits.windowUpdates)
    unknownFrames = Bucket(limits.unknownFrames)
  }

  /// Brings back what time has earned.
  ///
  /// Time that goes backwards brings nothing.
  public mutating func refill(at now: Instant) {
    guard refilled.rawValue != .min else {
      refilled = now
      return
    }
    let steps = (now - refilled).rawValue / Self.step
    guard steps > 0 else { return }
    refilled = refilled + Nanoseconds(steps &* Self.step)
    // A day fills every bucket, and the product stays within 64 bits.
    let counted = min(steps, 864_000)
    resets.add(counted &* Int64(resets.limit.perSecond))
    provokedResets.add(counted &* Int64(provokedResets.limit.perSecond))
    fields.add(counted &* Int64(fields.limit.perSecond))
    pings.add(counted &* Int64(pings.limit.perSecond))
    settings.add(counted &* Int64(settings.limit.perSecond))
    priorities.add(counted &* Int64(priorities.limit.perSecond))
    emptyFrames.add(counted &* Int64(emptyFrames.limit.perSecond))
    tinyFrames.add(counted &* Int64(tinyFrames.limit.perSecond))
    windowUpdates.add(counted &* Int64(windowUpdates.limit.perSecond))
    unknownFrames.add(counted &* Int64(unknownFrames.limit.perSecond))
  }

  /// Takes tokens for `count` events, and says whether there were enough.
  ///
  /// `count` is at most what one call of a session can see, below 2^20. After the first budget ran
  /// out all answers are false.
  @discardableResult
  public mutating func charge(_ reason: AbuseReason, _ count: Int = 1) -> Bool {
    if exhausted != nil { return false }
    let count = Int32(truncatingIfNeeded: min(count, 1 << 20))
    let isCovered =
      switch reason {
      case .rapidReset: resets.take(count)
      case .provokedReset: provokedResets.take(count)
      case .fieldFlood: fields.take(count)
      case .pingFlood: pings.take(count)
      case .settingsFlood: settings.take(count)
      case .priorityFlood: priorities.take(count)
      case .emptyFrameFlood: emptyFrames.take(count)
      case .tinyFrameFlood: tinyFrames.take(count)
      case .windowUpdateFlood: windowUpdates.take(count)
      case .unknownFrameFlood: unknownFrames.take(count)
      // These have bounds, not budgets: the first one over the bound is too much.
      case .continuationFlood, .unreadOutput, .heldBodies: false
      }
    if !isCovered { exhausted = reason }
    return isCovered
  }

  /// Pays for a request that was answered, or a response that came, as a whole.
  public mutating func earnExchange() {
    priorities.give(2)
    windowUpdates.give(2)
    fields.give(16)
  }

  /// Pays for a DATA frame of `count` bytes sent.
  ///
  /// Peers that measure a path's bandwidth send a PING for data that came, however little; who
  /// dribbles windows to get such frames pays for those.
  public mutating func earnData(_ count: Int) {
    guard count > 0 else { return }
    pings.give(1)
    guard count >= Self.usefulData else { return }
    windowUpdates.give(2)
  }

  /// Allows a client's request to be reset by the server: it decides how often that can happen.
  public mutating func earnRequest() {
    resets.give(1)
    provokedResets.give(1)
  }
}
