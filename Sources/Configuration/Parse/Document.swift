internal import Yams

/// A YAML document within bounds, with a position for every node.
enum Document {
  /// Bytes of a configuration; ten thousand routes take about two million.
  static let maximumBytes = 16 << 20
  /// Nested maps and lists; ours needs six.
  static let maximumDepth = 32

  /// Reads one document.
  ///
  /// Anchors are refused: a few lines of them can stand for gigabytes.
  static func read(_ text: String, _ faults: inout [Fault]) -> Node? {
    func whole(_ message: String, line: Int = 1, column: Int = 1) -> Node? {
      faults.append(Fault(line: line, column: column, path: "", message: message))
      return nil
    }
    guard text.utf8.count <= maximumBytes else {
      return whole("the file has more than \(maximumBytes) bytes")
    }
    if let place = TextScan.anchor(in: text) {
      return whole(
        "anchors and aliases are not supported; write the value out", line: place.line,
        column: place.column)
    }
    if let place = TextScan.depth(of: text, over: maximumDepth) {
      return whole(
        "nested deeper than \(maximumDepth) levels", line: place.line, column: place.column)
    }
    do {
      guard let node = try Yams.compose(yaml: text) else {
        return whole("the file is empty; it needs at least listeners and routes")
      }
      guard depth(node) <= maximumDepth else {
        return whole("nested deeper than \(maximumDepth) levels")
      }
      return node
    } catch let error as YamlError {
      let (message, mark) = describe(error)
      return whole(message, line: mark?.line ?? 1, column: mark?.column ?? 1)
    } catch {
      return whole("\(error)")
    }
  }

  private static func describe(_ error: YamlError) -> (String, Mark?) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return ("this is not YAML: \(problem)", mark)
    case .duplicatedKeysInMapping(let keys, let context):
      return ("\(keys.joined(separator: ", ")) is given twice; keep one", context.mark)
    case .reader(let problem, _, _, _):
      return ("this is not YAML: \(problem)", nil)
    default:
      return ("this is not YAML: \(error)", nil)
    }
  }

  private static func depth(_ node: Node) -> Int {
    switch node {
    case .mapping(let map): 1 + (map.map { depth($0.value) }.max() ?? 0)
    case .sequence(let list): 1 + (list.map { depth($0) }.max() ?? 0)
    default: 0
    }
  }
}

/// Looks at text before the parser does, for what would make the parser itself the victim.
enum TextScan {
  /// The first anchor or alias outside quotes and comments.
  static func anchor(in text: String) -> (line: Int, column: Int)? {
    var line = 1
    for row in text.split(separator: "\n", omittingEmptySubsequences: false) {
      var quote: Character?
      var previous: Character = " "
      var column = 1
      for character in row {
        if let open = quote {
          if character == open { quote = nil }
        } else if character == "\"" || character == "'" {
          if " [{,:-\t".contains(previous) { quote = character }
        } else if character == "#", previous == " " || column == 1 {
          break
        } else if character == "&" || character == "*", " [{,-\t".contains(previous),
          opensValue(row, column)
        {
          return (line, column)
        }
        previous = character
        column += 1
      }
      line += 1
    }
    return nil
  }

  /// Whether a mark at a column begins a value: `key: *x`, `- *x` or `[*x`.
  private static func opensValue(_ row: Substring, _ column: Int) -> Bool {
    let before = row.prefix(column - 1).reversed().first { $0 != " " && $0 != "\t" }
    return before == nil || ":-[{,".contains(before ?? " ")
  }

  /// Where flow brackets nest deeper than a bound; the parser recurses for each.
  static func depth(of text: String, over bound: Int) -> (line: Int, column: Int)? {
    var open = 0
    var line = 1
    var column = 0
    for byte in text.utf8 {
      column += 1
      switch byte {
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        open += 1
        if open > bound * 2 { return (line, column) }
      case UInt8(ascii: "]"), UInt8(ascii: "}"): open = max(0, open - 1)
      case UInt8(ascii: "\n"):
        line += 1
        column = 0
      default: break
      }
    }
    return nil
  }
}
