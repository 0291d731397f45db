/// The deterministic automaton of a pattern.
struct StateAutomaton: Sendable {
  static let dead = 0
  static let start = 1

  /// Class of each byte.
  let classes: [UInt8]
  let classCount: Int
  /// Next state by state and class.
  private(set) var transitions: [UInt16]
  private(set) var accepts: [Bool]

  /// Builds it by following sets of positions; nil when it passes the bounds of ``PathRegex``.
  init?(_ positions: PositionAutomaton) {
    let (classes, classPositions) = positions.byteClasses()
    self.classes = classes
    classCount = classPositions.count
    transitions = Array(repeating: 0, count: 2 * classCount)
    accepts = [false, positions.isNullable]
    var states: [PositionSet: Int] = [:]
    // What each state leads to before the next byte is known.
    var reaches = [nil, positions.first]
    var state = Self.start
    while state < reaches.count {
      guard let reach = reaches[state] else { return nil }
      for (column, taking) in classPositions.enumerated() {
        let set = reach.intersection(taking)
        if set.isEmpty { continue }
        let next: Int
        if let known = states[set] {
          next = known
        } else {
          next = reaches.count
          guard next < PathRegex.maximumStates,
            (next + 1) * classCount <= PathRegex.maximumTransitions
          else { return nil }
          states[set] = next
          reaches.append(positions.reach(set))
          accepts.append(!set.intersection(positions.last).isEmpty)
          transitions += Array(repeating: 0, count: classCount)
        }
        transitions[state * classCount + column] = UInt16(next)
      }
      state += 1
    }
  }

  func next(_ state: Int, _ byte: UInt8) -> Int {
    Int(transitions[state * classCount + Int(classes[Int(byte)])])
  }
}
