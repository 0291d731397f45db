/// A set of positions, as wide as its automaton.
struct PositionSet: Hashable {
  var words: [UInt64]

  init(count: Int) { words = Array(repeating: 0, count: (count + 63) / 64) }

  mutating func insert(_ position: Int) { words[position >> 6] |= 1 << UInt64(position & 63) }

  mutating func formUnion(_ other: PositionSet) {
    for index in words.indices { words[index] |= other.words[index] }
  }

  func intersection(_ other: PositionSet) -> PositionSet {
    var result = self
    for index in words.indices { result.words[index] &= other.words[index] }
    return result
  }

  var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  var members: [Int] {
    var members: [Int] = []
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        members.append(index << 6 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
    return members
  }
}

/// The automaton of a pattern with one state per character of it and no empty moves.
///
/// Every position is of use: it can be reached and leads to a match.
/// Source: Glushkov, "The Abstract Theory of Automata", Russian Mathematical Surveys 16, 1961.
struct PositionAutomaton {
  /// The bytes that each position takes.
  private(set) var takes: [ByteSet] = []
  /// Where to go from each position.
  private(set) var follow: [PositionSet] = []
  private(set) var first: PositionSet
  private(set) var last: PositionSet
  /// Whether the empty path matches.
  private(set) var isNullable = false

  private let count: Int

  private struct Fragment {
    var isNullable: Bool
    var first: PositionSet
    var last: PositionSet
  }

  init(_ node: RegexNode) {
    count = max(1, node.positions(limit: .max >> 32))
    first = PositionSet(count: count)
    last = first
    let whole = add(node)
    first = whole.first
    last = whole.last
    isNullable = whole.isNullable
  }

  private var nothing: Fragment {
    Fragment(isNullable: true, first: PositionSet(count: count), last: PositionSet(count: count))
  }

  private mutating func add(_ node: RegexNode) -> Fragment {
    switch node {
    case .set(let set):
      var here = PositionSet(count: count)
      here.insert(takes.count)
      takes.append(set)
      follow.append(PositionSet(count: count))
      return Fragment(isNullable: false, first: here, last: here)
    case .sequence(let nodes):
      var result = nothing
      for node in nodes { result = join(result, add(node)) }
      return result
    case .alternatives(let nodes):
      var result = nothing
      result.isNullable = false
      for node in nodes {
        let branch = add(node)
        result.isNullable = result.isNullable || branch.isNullable
        result.first.formUnion(branch.first)
        result.last.formUnion(branch.last)
      }
      return result
    case .repetition(let node, let minimum, let maximum):
      return addRepetition(of: node, minimum: minimum, maximum: maximum)
    }
  }

  private mutating func addRepetition(
    of node: RegexNode,
    minimum: Int,
    maximum: Int?
  ) -> Fragment {
    var result = nothing
    let copies = maximum ?? max(minimum, 1)
    for copy in 0..<copies {
      var part = add(node)
      if maximum == nil, copy == copies - 1 { link(part.last, to: part.first) }
      if copy >= minimum { part.isNullable = true }
      result = join(result, part)
    }
    return result
  }

  private mutating func join(_ a: Fragment, _ b: Fragment) -> Fragment {
    link(a.last, to: b.first)
    var result = Fragment(
      isNullable: a.isNullable && b.isNullable,
      first: a.first,
      last: b.last
    )
    if a.isNullable { result.first.formUnion(b.first) }
    if b.isNullable { result.last.formUnion(a.last) }
    return result
  }

  private mutating func link(_ from: PositionSet, to target: PositionSet) {
    for source in from.members { follow[source].formUnion(target) }
  }

  /// Where the set of positions leads before the next byte is known.
  func reach(_ set: PositionSet) -> PositionSet {
    var result = PositionSet(count: count)
    for position in set.members { result.formUnion(follow[position]) }
    return result
  }

  /// Bytes that no position tells apart share a class.
  ///
  /// - Returns: The class of each byte, and for each class the positions that take it.
  func byteClasses() -> (classes: [UInt8], positions: [PositionSet]) {
    var known: [PositionSet: UInt8] = [:]
    var classes: [UInt8] = []
    var positions: [PositionSet] = []
    for byte in UInt8.min...UInt8.max {
      var set = PositionSet(count: count)
      for (position, bytes) in takes.enumerated() where bytes.contains(byte) {
        set.insert(position)
      }
      if let index = known[set] {
        classes.append(index)
      } else {
        let index = UInt8(positions.count)
        known[set] = index
        classes.append(index)
        positions.append(set)
      }
    }
    return (classes, positions)
  }
}
