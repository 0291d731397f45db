/// Reads the pattern language of ``PathRegex``.
struct RegexParser {
  private let text: [UInt8]
  private var index = 0
  private var depth = 0

  private init(_ text: [UInt8]) { self.text = text }

  static func parse(_ pattern: String) throws(RegexFault) -> RegexNode {
    let text = Array(pattern.utf8)
    guard !text.isEmpty else {
      throw RegexFault(column: 1, message: "the pattern is empty; write /.* for every path")
    }
    guard text.count <= PathRegex.maximumLength else {
      throw RegexFault(
        column: PathRegex.maximumLength + 1,
        message: "the pattern is longer than \(PathRegex.maximumLength) bytes"
      )
    }
    if let odd = text.firstIndex(where: { $0 >= 0x80 }) {
      throw RegexFault(
        column: odd + 1,
        message: "paths are ASCII; write the escape, such as %C3%A9, instead of the character"
      )
    }
    var parser = RegexParser(text)
    parser.skip("^")
    let node = try parser.alternatives()
    guard parser.index == text.count else {
      throw parser.fault("there is no ( for this ); write \\) for the character")
    }
    return node
  }

  private var next: UInt8? { index < text.count ? text[index] : nil }

  private func fault(_ message: String, at column: Int? = nil) -> RegexFault {
    RegexFault(column: (column ?? index) + 1, message: message)
  }

  @discardableResult
  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  private mutating func alternatives() throws(RegexFault) -> RegexNode {
    var branches = [try sequence()]
    while skip("|") { branches.append(try sequence()) }
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func sequence() throws(RegexFault) -> RegexNode {
    var nodes: [RegexNode] = []
    while let byte = next, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
      if byte == UInt8(ascii: "$"), index == text.count - 1 {
        index += 1
        break
      }
      let start = index
      let node = try atom()
      nodes.append(try quantified(node, from: start))
    }
    return .sequence(nodes)
  }

  private mutating func atom() throws(RegexFault) -> RegexNode {
    let byte = text[index]
    switch byte {
    case UInt8(ascii: "("):
      return try group()
    case UInt8(ascii: "["):
      return .set(try RegexClassParser.parse(text, at: &index))
    case UInt8(ascii: "."):
      index += 1
      return .set(.allButNewline)
    case UInt8(ascii: "\\"):
      return .set(try RegexClassParser.escape(text, at: &index).set)
    case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"):
      throw fault("there is nothing to repeat; write \\\(Character(Unicode.Scalar(byte)))")
    case UInt8(ascii: "{"), UInt8(ascii: "}"):
      throw fault("write \\\(Character(Unicode.Scalar(byte))) for the character")
    case UInt8(ascii: "^"), UInt8(ascii: "$"):
      throw fault("the whole path must match anyway: leave the anchor out, or escape it")
    default:
      index += 1
      return .set(ByteSet([byte]))
    }
  }

  private mutating func group() throws(RegexFault) -> RegexNode {
    let start = index
    index += 1
    if skip("?") {
      guard skip(":") else {
        throw fault("only (?: is understood after (: no look-around, names or flags", at: start)
      }
    }
    depth += 1
    guard depth <= PathRegex.maximumDepth else {
      throw fault("groups are nested deeper than \(PathRegex.maximumDepth)", at: start)
    }
    let node = try alternatives()
    guard skip(")") else { throw fault("this ( is never closed", at: start) }
    depth -= 1
    return node
  }

  private mutating func quantified(
    _ node: RegexNode,
    from start: Int
  ) throws(RegexFault) -> RegexNode {
    let quantifier = index
    let result: RegexNode
    switch next {
    case UInt8(ascii: "*"):
      index += 1
      result = .repetition(node, minimum: 0, maximum: nil)
    case UInt8(ascii: "+"):
      index += 1
      result = .repetition(node, minimum: 1, maximum: nil)
    case UInt8(ascii: "?"):
      index += 1
      result = .repetition(node, minimum: 0, maximum: 1)
    case UInt8(ascii: "{"):
      let (minimum, maximum) = try counts()
      result = .repetition(node, minimum: minimum, maximum: maximum)
    default:
      return node
    }
    // A lazy quantifier changes what a group captures, not what the whole matches.
    skip("?")
    if let byte = next, byte == UInt8(ascii: "*") || byte == UInt8(ascii: "+") {
      throw fault("one repetition directly after another; use a group")
    }
    let limit = PathRegex.maximumPositions + 1
    guard result.positions(limit: limit) < limit else {
      throw fault(
        "repeated out, this is more than \(PathRegex.maximumPositions) characters long",
        at: quantifier
      )
    }
    return result
  }

  private mutating func counts() throws(RegexFault) -> (Int, Int?) {
    let start = index
    index += 1
    let minimum = try number(from: start)
    var maximum: Int? = minimum
    if skip(",") { maximum = next == UInt8(ascii: "}") ? nil : try number(from: start) }
    guard skip("}") else {
      throw fault("write {m}, {m,} or {m,n} to repeat, \\{ for the character", at: start)
    }
    if let maximum, maximum < minimum {
      throw fault("the range runs backwards; write {\(maximum),\(minimum)}", at: start)
    }
    return (minimum, maximum)
  }

  private mutating func number(from start: Int) throws(RegexFault) -> Int {
    var value = 0
    let first = index
    while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
      guard value <= PathRegex.maximumRepetition else {
        throw fault("a repetition goes to \(PathRegex.maximumRepetition) at most", at: first)
      }
      index += 1
    }
    guard index > first else {
      throw fault("write {m}, {m,} or {m,n} to repeat, \\{ for the character", at: start)
    }
    return value
  }
}
