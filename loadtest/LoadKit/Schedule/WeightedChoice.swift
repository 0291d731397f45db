public import Units

/// Draws one of a few things by weight, in O(1).
///
/// Source: Vose, "A Linear Algorithm for Generating Random Numbers with a Given Distribution", IEEE
/// Transactions on Software Engineering, 1991 (Walker's alias method).
public struct WeightedChoice: Sendable {
  private let thresholds: [Double]
  private let aliases: [Int]

  /// - Parameter weights: At least one above zero, none negative or infinite.
  public init(_ weights: [Double]) {
    let total = weights.reduce(0, +)
    precondition(weights.allSatisfy { $0 >= 0 } && total > 0 && total.isFinite, "unvalidated")
    var scaled = weights.map { $0 * Double(weights.count) / total }
    var thresholds = [Double](repeating: 1, count: weights.count)
    var aliases = Array(weights.indices)
    var small = weights.indices.filter { scaled[$0] < 1 }
    var large = weights.indices.filter { scaled[$0] >= 1 }
    while let less = small.popLast() {
      guard let more = large.popLast() else { break }
      thresholds[less] = scaled[less]
      aliases[less] = more
      scaled[more] -= 1 - scaled[less]
      if scaled[more] < 1 { small.append(more) } else { large.append(more) }
    }
    self.thresholds = thresholds
    self.aliases = aliases
  }

  /// An index, with a probability of its share of all weights.
  public func draw(_ generator: inout SplitMix64) -> Int {
    let place = generator.uniform() * Double(thresholds.count)
    let column = min(Int(place), thresholds.count - 1)
    return place - Double(column) < thresholds[column] ? column : aliases[column]
  }
}
