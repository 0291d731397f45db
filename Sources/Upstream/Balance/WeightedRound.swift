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
