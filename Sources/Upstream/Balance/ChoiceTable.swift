/// The endpoints of a service as a choice looks at them: tiers by priority, weights, and what was
/// worked out of these beforehand.
///
/// Plain pointers into a `ChoiceMemory`, which the snapshot holds.
public struct ChoiceTable: BitwiseCopyable, @unchecked Sendable {
  // Safe to share: what it points to is immutable.
  struct Tier: BitwiseCopyable {
    /// Its endpoints among `places`.
    var first: Int
    var count: Int
    /// Endpoints in the order of a weighted round, as offsets in the tier; none where weights are
    /// the same, and where there are too many of them.
    var schedule: UnsafePointer<Int32>?
    var scheduleCount: Int
    /// Where there are too many for a round: for each its weight and those before it, together.
    var sums: UnsafePointer<Double>?
    var totalWeight: Double
    var ring: HashRing
  }

  let tiers: UnsafePointer<Tier>
  let tierCount: Int
  public let places: UnsafePointer<Int32>
  public let count: Int
  let weights: UnsafePointer<Double>
}

/// One endpoint of a service with what an operator says of it.
public struct ChoiceEndpoint: Sendable {
  public var place: Int32
  /// How much more than others it takes, at least 1.
  public var weight: Int
  /// Used while those of lower numbers are mostly healthy; 0 is first.
  public var priority: Int
  /// What its points of the ring are made of: its address, so that they stay where they are.
  public var name: String

  public init(place: Int32, weight: Int = 1, priority: Int = 0, name: String = "") {
    self.place = place
    self.weight = weight
    self.priority = priority
    self.name = name
  }
}

/// Owns the memory of a `ChoiceTable`; made and freed by the slow plane.
public final class ChoiceMemory: @unchecked Sendable {
  // Safe to share: immutable after init.
  public let table: ChoiceTable
  private let tiers: UnsafeMutablePointer<ChoiceTable.Tier>
  private let places: UnsafeMutablePointer<Int32>
  private let weights: UnsafeMutablePointer<Double>
  private var schedules: [UnsafeMutablePointer<Int32>] = []
  private var sums: [UnsafeMutablePointer<Double>] = []
  private let points: [HashRing.Memory]

  /// - Parameters:
  ///   - endpoints: In any order.
  ///   - hasRing: Whether keys are looked up.
  public init(_ endpoints: [ChoiceEndpoint], hasRing: Bool) {
    let priorities = Set(endpoints.map(\.priority)).sorted()
    let groups = priorities.map { priority in endpoints.filter { $0.priority == priority } }
    let sorted = groups.flatMap(\.self)
    places = .allocate(capacity: max(1, sorted.count))
    weights = .allocate(capacity: max(1, sorted.count))
    for (index, endpoint) in sorted.enumerated() {
      (places + index).initialize(to: endpoint.place)
      (weights + index).initialize(to: Double(max(1, endpoint.weight)))
    }
    tiers = .allocate(capacity: max(1, groups.count))
    var first = 0
    var points: [HashRing.Memory] = []
    var schedules: [UnsafeMutablePointer<Int32>] = []
    var sums: [UnsafeMutablePointer<Double>] = []
    for (index, group) in groups.enumerated() {
      let order = WeightedRound.order(group.map(\.weight))
      var schedule: UnsafeMutablePointer<Int32>?
      if !order.isEmpty {
        let memory = UnsafeMutablePointer<Int32>.allocate(capacity: order.count)
        memory.initialize(from: order, count: order.count)
        schedules.append(memory)
        schedule = memory
      }
      let added = WeightedDraw.sums(group.map(\.weight))
      if !added.isEmpty {
        let memory = UnsafeMutablePointer<Double>.allocate(capacity: added.count)
        memory.initialize(from: added, count: added.count)
        sums.append(memory)
      }
      let ring = HashRing.Memory(hasRing ? group : [])
      points.append(ring)
      (tiers + index).initialize(
        to: ChoiceTable.Tier(
          first: first,
          count: group.count,
          schedule: schedule.map { UnsafePointer($0) },
          scheduleCount: order.count,
          sums: added.isEmpty ? nil : sums.last.map { UnsafePointer($0) },
          totalWeight: group.reduce(0) { $0 + Double(max(1, $1.weight)) },
          ring: ring.ring
        )
      )
      first += group.count
    }
    self.points = points
    self.schedules = schedules
    self.sums = sums
    table = ChoiceTable(
      tiers: UnsafePointer(tiers),
      tierCount: groups.count,
      places: UnsafePointer(places),
      count: sorted.count,
      weights: UnsafePointer(weights)
    )
  }

  deinit {
    tiers.deallocate()
    places.deallocate()
    weights.deallocate()
    for schedule in schedules { schedule.deallocate() }
    for sum in sums { sum.deallocate() }
  }
}

/// The order of a weighted round robin in which turns of the heavy are spread over the round.
///
/// Source: nginx's smooth weighted round-robin.
enum WeightedRound {
  /// Turns of a round; beyond it weights are rounded.
  static let longest = 4_096
  /// Endpoints of a round.
  ///
  /// To order one takes as many steps as there are endpoints for each of its turns, and a snapshot
  /// does it for each tier.
  static let mostEndpoints = 1_024

  /// Offsets in the order of their turns; empty where all weights are the same, and for more than
  /// `mostEndpoints`.
  static func order(_ given: [Int]) -> [Int32] {
    guard let least = given.min(), let most = given.max(), least != most,
      given.count <= mostEndpoints
    else { return [] }
    var weights = given.map { max(1, $0) }
    let total = weights.reduce(0, +)
    if total > longest {
      let scale = Double(max(longest, given.count)) / Double(total)
      weights = weights.map { max(1, Int((Double($0) * scale).rounded())) }
    }
    let divisor = weights.reduce(0) { greatestCommonDivisor($0, $1) }
    weights = weights.map { $0 / max(1, divisor) }
    let round = weights.reduce(0, +)
    var current = [Int](repeating: 0, count: weights.count)
    var order: [Int32] = []
    order.reserveCapacity(round)
    for _ in 0..<round {
      var best = 0
      for index in weights.indices {
        current[index] += weights[index]
        if current[index] > current[best] { best = index }
      }
      current[best] -= round
      order.append(Int32(best))
    }
    return order
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    b == 0 ? a : greatestCommonDivisor(b, a % b)
  }
}

/// A draw in which each endpoint has the share of its weight, for more of them than a round orders.
enum WeightedDraw {
  /// For each weight the sum up to it; empty where all are the same, or few enough for a round.
  static func sums(_ given: [Int]) -> [Double] {
    guard given.count > WeightedRound.mostEndpoints, let least = given.min(),
      let most = given.max(),
      least != most
    else { return [] }
    var sum = 0.0
    return given.map {
      sum += Double(max(1, $0))
      return sum
    }
  }

  /// The first of `count` sums that is above `value`, the last one where none is.
  static func offset(_ value: Double, _ sums: UnsafePointer<Double>, _ count: Int) -> Int {
    var (low, high) = (0, count - 1)
    while low < high {
      let middle = (low + high) / 2
      if sums[middle] > value { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
