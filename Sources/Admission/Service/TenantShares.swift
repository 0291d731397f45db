internal import Glibc
internal import Units

/// Who keeps more than its share of a service for so long that others need not wait for it.
///
/// A permit cannot be taken back, so one client whose requests hang would, in time, hold every permit
/// there is, and its neighbours would wait for requests that never end. While a service is busy, a
/// tenant's *share* is the limit divided among those that hold permits and one more, who may come.
/// What a tenant held beyond its share for all of the last while is its *standing
/// excess*: that many requests of tenants that are below their shares go out beside the limit.
///
/// Nobody is ever stopped at its share: a tenant that is alone, or among others that want less, has
/// all there is. Holdings that come and go leave no standing excess, so that ordinary
/// unevenness does not raise what is in flight. Together at most twice the limit is out; once the
/// excess ends, what is beyond the limit is not given on.
///
/// Tenants are told apart by a hash of 256 values: with many more of them a bucket is a random part of
/// them, no one's share is large, and the rule rests.
///
/// Source: max-min fairness (Jaffe, "Bottleneck Flow Control", IEEE Trans. Comm. 1981), for shares that
/// cannot be preempted.
struct TenantShares: ~Copyable {
  static let buckets = 256

  /// The rule in the numbers that requests read: none while nobody exceeds.
  struct Beside: Equatable {
    /// Requests that may be out beyond the limit.
    var excess = 0
    /// A tenant has to hold fewer than this to be one of them.
    var share = 0
    /// Others hold permits beside the one with most.
    var hasOthers = false

    init(excess: Int = 0, share: Int = 0, hasOthers: Bool = false) {
      self.excess = excess
      self.share = share
      self.hasOthers = hasOthers
    }

    init(rawValue: UInt64) {
      excess = Int(rawValue >> 32 & 0x7FFF_FFFF)
      share = Int(rawValue & 0xFFFF_FFFF)
      hasOthers = rawValue >> 63 == 1
    }

    var rawValue: UInt64 {
      guard excess > 0 else { return 0 }
      return (hasOthers ? 1 << 63 : 0) | UInt64(excess) << 32 | UInt64(share)
    }
  }

  /// The least that each bucket held in the present half of the window, and in the one before.
  private let present: UnsafeMutablePointer<Int32>
  private let before: UnsafeMutablePointer<Int32>
  private var halfEnds = Instant.never
  private static let shortest = 0.1
  private static let longest = 1.0

  init() {
    present = zeroedMemory(Int32.self, 2 * Self.buckets)
    before = present + Self.buckets
  }

  deinit { free(present) }

  /// Looks at who holds what.
  ///
  /// - Parameters:
  ///   - now: The time of the tick.
  ///   - latency: The usual one of the service, in seconds: what is held for only a few of them does
  ///     not stand.
  ///   - cells: Where holdings and the gate are.
  /// - Returns: What requests have to know.
  mutating func tick(_ now: Instant, latency: Double, _ cells: ServiceCells) -> Beside {
    let gate = cells.gate
    let limit = gate.limit - Int(cells.load(ServiceCells.Place.allowance))
    guard gate.inFlight * 2 >= limit, limit > 1 else {
      halfEnds = .never
      return Beside()
    }
    let half = Nanoseconds(Int64(Bounds.clamp(2 * latency, Self.shortest, Self.longest) * 1e9))
    if halfEnds == .never {
      for index in 0..<2 * Self.buckets { present[index] = 0 }
      halfEnds = now + half
      look(cells) { _, held in held }
      return Beside()
    }
    let active = look(cells) { min($0, $1) }
    let beside = judge(limit: limit, active)
    if now >= halfEnds {
      before.update(from: present, count: Self.buckets)
      look(cells) { _, held in held }
      halfEnds = now + half
    }
    return beside
  }

  /// Counts those that hold something.
  @discardableResult
  private func look(_ cells: ServiceCells, _ change: (Int32, Int32) -> Int32) -> Int {
    var active = 0
    for index in 0..<Self.buckets {
      let held = Int32(clamping: cells.held(UInt8(index)))
      if held > 0 { active += 1 }
      present[index] = change(present[index], held)
    }
    return active
  }

  private func judge(limit: Int, _ active: Int) -> Beside {
    let share = max(1, limit / (active + 1))
    var excess = 0
    for index in 0..<Self.buckets {
      excess += max(0, Int(min(present[index], before[index])) - share)
    }
    return Beside(excess: min(excess, limit), share: share, hasOthers: active > 1)
  }

  /// The bucket of a tenant.
  static func bucket(_ tenant: UInt64, seed: UInt64) -> UInt8 {
    var hash = tenant ^ seed
    hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
    hash = (hash ^ (hash >> 29)) &* 0x9FB2_1C65_1E98_DF25
    return UInt8(truncatingIfNeeded: hash >> 56)
  }
}
