internal import Yams

/// A YAML document within bounds, with a position for every node.
enum Document {
  /// Bytes of a configuration; ten thousand routes take about two million.
  static let maximumBytes = 16 << 20
  /// Nested maps and lists; ours needs six.
  static let maximumDepth = 32

  /// Nodes once aliases are written out: a few lines of them can stand for gigabytes.
  static let maximumNodes = 2_000_000

  /// Reads one document.
  static func read(_ text: String, _ faults: inout [Fault]) -> Node? {
    func whole(_ message: String, line: Int = 1, column: Int = 1) -> Node? {
      faults.append(Fault(line: line, column: column, path: "", message: message))
      return nil
    }
    guard text.utf8.count <= maximumBytes else {
      return whole("the file has more than \(maximumBytes) bytes")
    }
    if let place = TextScan.depth(of: text, over: maximumDepth) {
      return whole(
        "nested deeper than \(maximumDepth) levels", line: place.line, column: place.column)
    }
    do {
      guard let node = try Yams.compose(yaml: text) else {
        return whole("the file is empty; it needs at least listeners and routes")
      }
      var room = maximumNodes
      guard fits(node, levels: maximumDepth, room: &room) else {
        return whole(
          "nested deeper than \(maximumDepth) levels, or more than \(maximumNodes) values once "
            + "aliases are written out")
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

  /// Whether a tree keeps the bounds; stops looking when it does not.
  private static func fits(_ node: Node, levels: Int, room: inout Int) -> Bool {
    room -= 1
    guard levels > 0, room > 0 else { return false }
    switch node {
    case .mapping(let map):
      for (_, value) in map where !fits(value, levels: levels - 1, room: &room) { return false }
    case .sequence(let list):
      for value in list where !fits(value, levels: levels - 1, room: &room) { return false }
    default: break
    }
    return true
  }
}

/// Looks at text before the parser does, for what would make the parser itself the victim.
enum TextScan {
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
