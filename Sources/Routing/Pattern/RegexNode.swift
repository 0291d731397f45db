/// A parsed pattern.
indirect enum RegexNode {
  case set(ByteSet)
  case sequence([RegexNode])
  case alternatives([RegexNode])
  /// `maximum` nil is without end.
  case repetition(RegexNode, minimum: Int, maximum: Int?)

  /// Positions the automaton needs for it, cut off at `limit`.
  func positions(limit: Int) -> Int {
    switch self {
    case .set:
      1
    case .sequence(let nodes), .alternatives(let nodes):
      nodes.reduce(0) { min(limit, $0 + $1.positions(limit: limit)) }
    case .repetition(let node, let minimum, let maximum):
      min(limit, node.positions(limit: limit) * max(maximum ?? minimum, maximum == nil ? 1 : 0))
    }
  }
}

/// Why a pattern cannot be used.
struct RegexFault: Error, Hashable {
  /// Where, from 1.
  var column: Int
  /// What is wrong and what would be right.
  var message: String
}
