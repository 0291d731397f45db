/// A pattern for whole paths that is matched in linear time, whatever the pattern and the path.
///
/// Understood are characters, `.`, classes (`[a-z]`, `[^/]`), `\d \w \s` and their capitals,
/// escaped punctuation, groups (`(...)` and `(?:...)`), `|`, `*`, `+`, `?`, `{m}`, `{m,}` and
/// `{m,n}`. The whole path must match; `^` at the start and `$` at the end are allowed and say
/// nothing more. There are no back-references and no look-around: they cannot be matched in
/// linear time.
///
/// A pattern becomes a deterministic automaton when that stays small, otherwise sets of positions
/// are followed with a look-up per eight of them.
final class PathRegex: Sendable {
  /// Longest pattern, in bytes: longer ones are generated, and belong into several routes.
  static let maximumLength = 1024
  /// Largest count in `{m,n}`.
  static let maximumRepetition = 256
  /// Deepest nesting of groups; the parser recurses.
  static let maximumDepth = 32
  /// Most positions, which is the pattern's length after repetitions are written out.
  static let maximumPositions = 512
  /// Most states of the deterministic automaton.
  static let maximumStates = 1024
  /// Most entries of its table: 128 KiB.
  static let maximumTransitions = 65_536
  /// Most positions when the deterministic automaton is too large: two words.
  static let maximumSetPositions = 128

  let view: RegexView
  /// The deterministic automaton, while it is small enough.
  let automaton: StateAutomaton?

  /// - Throws: What is wrong with the pattern, and where.
  init(_ pattern: String) throws(RegexFault) {
    let node = try RegexParser.parse(pattern)
    let limit = Self.maximumPositions + 1
    guard node.positions(limit: limit) < limit else {
      throw RegexFault(
        column: 1,
        message: "repeated out, the pattern is more than \(Self.maximumPositions) characters long"
      )
    }
    let positions = PositionAutomaton(node)
    automaton = StateAutomaton(positions)
    guard automaton != nil || positions.takes.count <= Self.maximumSetPositions else {
      throw RegexFault(
        column: 1,
        message: "the pattern needs more than \(Self.maximumStates) states;"
          + " shorten it or bound its repetitions"
      )
    }
    view = Self.lay(out: positions, automaton)
  }

  deinit {
    view.classes.deallocate()
    view.transitions?.deallocate()
    view.accepts.deallocate()
    view.follows.deallocate()
    view.masks.deallocate()
  }

  private static func lay(
    out positions: PositionAutomaton,
    _ automaton: StateAutomaton?
  ) -> RegexView {
    let (classes, classPositions) = positions.byteClasses()
    let usesSets = automaton == nil
    let chunkCount = usesSets ? (positions.takes.count + 7) / 8 : 0
    var follows: [UInt64] = []
    for chunk in 0..<chunkCount {
      for subset in 0..<256 {
        var reach: (UInt64, UInt64) = (0, 0)
        for bit in 0..<8 where subset >> bit & 1 != 0 && chunk * 8 + bit < positions.takes.count {
          let words = pair(positions.follow[chunk * 8 + bit])
          reach = (reach.0 | words.0, reach.1 | words.1)
        }
        follows += [reach.0, reach.1]
      }
    }
    return RegexView(
      classes: copy(classes),
      classCount: classPositions.count,
      transitions: automaton.map { copy($0.transitions) },
      accepts: copy(automaton?.accepts.map { $0 ? 1 : 0 } ?? []),
      follows: copy(follows),
      masks: copy(usesSets ? classPositions.flatMap { [pair($0).0, pair($0).1] } : []),
      chunkCount: chunkCount,
      first: pair(positions.first),
      last: pair(positions.last),
      isNullable: positions.isNullable
    )
  }

  private static func pair(_ set: PositionSet) -> (UInt64, UInt64) {
    (set.words[0], set.words.count > 1 ? set.words[1] : 0)
  }
}

/// Copies an array of plain values into memory that the caller owns.
///
/// It is never empty, so that it has an address.
func copy<Element>(_ elements: [Element]) -> UnsafePointer<Element> {
  let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(1, elements.count))
  _ = memory.initialize(from: elements)
  return UnsafePointer(UnsafeMutablePointer(memory.baseAddress.unsafelyUnwrapped))
}
