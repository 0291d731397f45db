/// Questions about all paths that a pattern matches, for validation.
///
/// Only bytes that a normalised path can hold are considered: `0x21...0x7E`.
extension StateAutomaton {
  private static let pathBytes = UInt8(0x21)...UInt8(0x7E)

  /// One byte for each class that paths can use.
  private var representatives: [UInt8] {
    var seen: Set<UInt8> = []
    return Self.pathBytes.filter { seen.insert(classes[Int($0)]).inserted }
  }

  /// Whether some path is matched by both; nil when `budget` steps did not tell.
  static func intersect(_ a: StateAutomaton, _ b: StateAutomaton, budget: inout Int) -> Bool? {
    struct Pair: Hashable {
      var a: Int
      var b: Int
    }
    // Bytes that neither tells apart need one look.
    var classes: Set<Pair> = []
    let bytes = pathBytes.filter {
      classes.insert(Pair(a: Int(a.classes[Int($0)]), b: Int(b.classes[Int($0)]))).inserted
    }
    let slash = UInt8(ascii: "/")
    let start = Pair(a: a.next(Self.start, slash), b: b.next(Self.start, slash))
    if start.a == dead || start.b == dead { return false }
    var seen: Set<Pair> = [start]
    var pending = [start]
    while let pair = pending.popLast() {
      if a.accepts[pair.a], b.accepts[pair.b] { return true }
      for byte in bytes {
        budget -= 1
        if budget < 0 { return nil }
        let next = Pair(a: a.next(pair.a, byte), b: b.next(pair.b, byte))
        if next.a != dead, next.b != dead, seen.insert(next).inserted { pending.append(next) }
      }
    }
    return false
  }

  /// Whether every path is matched.
  var matchesEveryPath: Bool {
    let bytes = representatives
    var seen: Set<Int> = [next(Self.start, UInt8(ascii: "/"))]
    var pending = Array(seen)
    while let state = pending.popLast() {
      if state == Self.dead || !accepts[state] { return false }
      for byte in bytes where seen.insert(next(state, byte)).inserted {
        pending.append(next(state, byte))
      }
    }
    return true
  }

  /// What every matched path begins with, and whether a slash or the end always follows.
  var literalPrefix: (text: [UInt8], endsSegment: Bool) {
    let bytes = representatives
    var text = [UInt8(ascii: "/")]
    var state = next(Self.start, text[0])
    while state != Self.dead, text.count < PathRegex.maximumLength {
      let live = bytes.filter { next(state, $0) != Self.dead }
      // A class may stand for many bytes; then nothing is certain any more.
      let isAlone =
        live.count == 1
        && Self.pathBytes.filter { classes[Int($0)] == classes[Int(live[0])] }.count == 1
      let onlySlash = live.isEmpty || (isAlone && live[0] == UInt8(ascii: "/"))
      guard isAlone, !accepts[state] else { return (text, onlySlash) }
      text.append(live[0])
      state = next(state, live[0])
    }
    return (text, false)
  }
}
