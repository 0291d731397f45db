/// The endpoints of a service as a choice looks at them: tiers by priority, weights, and what was
/// worked out of these beforehand.
///
/// Plain pointers into a `ChoiceMemory`, which the snapshot holds.
public struct ChoiceTable: BitwiseCopyable, @unchecked Sendable {
  // Safe to share: what it points to is immutable.
  struct Tier: BitwiseCopyable {
    /// Its endpoints among `places`, those of the edge's own zone first.
    var first: Int
    var count: Int
    var localCount: Int
    /// Endpoints in the order of a weighted round, as offsets in the tier; none where weights are
    /// the same, and where there are too many of them.
    var schedule: UnsafePointer<Int32>?
    var scheduleCount: Int
    /// Where there are too many for a round: for each its weight and those before it, together.
    var sums: UnsafePointer<Double>?
    var totalWeight: Double
    var ring: HashRing
  }

  /// Behind them, for each of them, its endpoints of the edge's own zone, and those of others; not
  /// where no zone is preferred.
  let tiers: UnsafePointer<Tier>
  let tierCount: Int
  public let places: UnsafePointer<Int32>
  public let count: Int
  let weights: UnsafePointer<Double>

  /// The endpoints of a tier that are in the edge's own zone, or those that are not.
  func zone(_ tier: Int, isLocal: Bool) -> UnsafePointer<Tier> {
    tiers + tierCount + 2 * tier + (isLocal ? 0 : 1)
  }
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
  /// Whether it is in the edge's own zone.
  public var isLocal: Bool

  public init(
    place: Int32,
    weight: Int = 1,
    priority: Int = 0,
    name: String = "",
    isLocal: Bool = false
  ) {
    self.place = place
    self.weight = weight
    self.priority = priority
    self.name = name
    self.isLocal = isLocal
  }
}

/// Owns the memory of a `ChoiceTable`; made and freed by the slow plane.
public final class ChoiceMemory: @unchecked Sendable {
  // Safe to share: immutable after init.
  public let table: ChoiceTable
  private let tiers: UnsafeMutablePointer<ChoiceTable.Tier>
  private let places: UnsafeMutablePointer<Int32>
  private let weights: UnsafeMutablePointer<Double>
  private let owned: Owned

  /// - Parameters:
  ///   - endpoints: In any order.
  ///   - hasRing: Whether keys are looked up.
  ///   - hasZones: Whether those of the edge's own zone are told apart.
  public init(_ endpoints: [ChoiceEndpoint], hasRing: Bool, hasZones: Bool = false) {
    let priorities = Set(endpoints.map(\.priority)).sorted()
    let groups = priorities.map { priority in
      let group = endpoints.filter { $0.priority == priority }
      return hasZones ? group.filter(\.isLocal) + group.filter { !$0.isLocal } : group
    }
    let sorted = groups.flatMap(\.self)
    places = .allocate(capacity: max(1, sorted.count))
    weights = .allocate(capacity: max(1, sorted.count))
    for (index, endpoint) in sorted.enumerated() {
      (places + index).initialize(to: endpoint.place)
      (weights + index).initialize(to: Double(max(1, endpoint.weight)))
    }
    var parts = groups
    if hasZones {
      for group in groups { parts += [group.filter(\.isLocal), group.filter { !$0.isLocal }] }
    }
    tiers = .allocate(capacity: max(1, parts.count))
    var first = 0
    var owned = Owned()
    for (index, part) in parts.enumerated() {
      // The parts by zone are the same endpoints once more, in the same order.
      if index == groups.count { first = 0 }
      (tiers + index).initialize(to: owned.tier(part, first: first, hasRing: hasRing))
      first += part.count
    }
    self.owned = owned
    table = ChoiceTable(
      tiers: UnsafePointer(tiers),
      tierCount: groups.count,
      places: UnsafePointer(places),
      count: sorted.count,
      weights: UnsafePointer(weights)
    )
  }

  /// What was worked out beforehand for tiers.
  private struct Owned {
    var schedules: [UnsafeMutablePointer<Int32>] = []
    var sums: [UnsafeMutablePointer<Double>] = []
    var points: [HashRing.Memory] = []

    mutating func tier(
      _ group: [ChoiceEndpoint],
      first: Int,
      hasRing: Bool
    ) -> ChoiceTable.Tier {
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
      return ChoiceTable.Tier(
        first: first,
        count: group.count,
        localCount: group.count { $0.isLocal },
        schedule: schedule.map { UnsafePointer($0) },
        scheduleCount: order.count,
        sums: added.isEmpty ? nil : sums.last.map { UnsafePointer($0) },
        totalWeight: group.reduce(0) { $0 + Double(max(1, $1.weight)) },
        ring: ring.ring
      )
    }
  }

  deinit {
    tiers.deallocate()
    places.deallocate()
    weights.deallocate()
    for schedule in owned.schedules { schedule.deallocate() }
    for sum in owned.sums { sum.deallocate() }
  }
}
