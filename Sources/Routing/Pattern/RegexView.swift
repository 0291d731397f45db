/// A compiled pattern as plain pointers, for matching without reference counting.
///
/// The ``PathRegex`` it came from owns the memory.
struct RegexView: @unchecked Sendable {
  /// Class of each byte.
  var classes: UnsafePointer<UInt8>
  var classCount: Int
  /// Next state by state and class, where state 0 is dead and 1 the start.
  ///
  /// Nil when there are too many states; then the sets of positions are followed instead.
  var transitions: UnsafePointer<UInt16>?
  /// Whether each state accepts.
  var accepts: UnsafePointer<UInt8>
  /// For each eight positions and each subset of them, the two words of where they lead.
  var follows: UnsafePointer<UInt64>
  /// For each class, the two words of positions that take it.
  var masks: UnsafePointer<UInt64>
  var chunkCount: Int
  var first: (UInt64, UInt64)
  var last: (UInt64, UInt64)
  var isNullable: Bool

  /// Whether the whole path matches; linear in its length.
  func matches(_ path: UnsafePointer<UInt8>, count: Int) -> Bool {
    guard let transitions else { return matchesBySets(path, count: count) }
    var state = 1
    for index in 0..<count {
      let column = Int(classes[Int(path[index])])
      state = Int(transitions[state &* classCount &+ column])
      if state == 0 { return false }
    }
    return accepts[state] != 0
  }

  /// Follows all positions at once, eight per look-up.
  ///
  /// Source: Navarro and Raffinot, "Fast and Simple Character Classes and Bounded Gaps Pattern
  /// Matching", Journal of Computational Biology 10, 2003.
  private func matchesBySets(_ path: UnsafePointer<UInt8>, count: Int) -> Bool {
    guard count > 0 else { return isNullable }
    var reach = first
    var set: (UInt64, UInt64) = (0, 0)
    for index in 0..<count {
      let mask = masks + 2 &* Int(classes[Int(path[index])])
      set = (reach.0 & mask[0], reach.1 & mask[1])
      if set.0 | set.1 == 0 { return false }
      reach = (0, 0)
      for chunk in 0..<chunkCount {
        let word = chunk < 8 ? set.0 : set.1
        let subset = Int(truncatingIfNeeded: (word &>> UInt64((chunk & 7) &* 8)) & 0xFF)
        let entry = follows + 2 &* (chunk &* 256 &+ subset)
        reach.0 |= entry[0]
        reach.1 |= entry[1]
      }
    }
    return (set.0 & last.0) | (set.1 & last.1) != 0
  }
}
