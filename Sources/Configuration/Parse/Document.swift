internal import Glibc
internal import Yams

/// Text to nodes, within bounds.
///
/// The library recurses once for each level, and its scanner's time grows with the square of open
/// brackets, so what can nest is counted before and the rest gets a stack of its own.
enum Document {
  /// Bytes of a configuration; ten thousand routes take about two million.
  static let maximumBytes = 16 << 20
  /// Levels; the deepest field of a configuration is at eight.
  static let maximumDepth = 32
  /// Columns before the first word of a line: each may open a level.
  static let maximumIndent = 1_000
  /// Brackets and braces that open, even in comments and quotes.
  static let maximumOpenings = 65_536
  /// Aliases: comparing keys walks what they stand for, which grows with their nesting.
  static let maximumAliases = 32
  /// Nodes once aliases are written out: a few lines of them can stand for gigabytes.
  static let maximumNodes = 2_000_000
  private static let stackBytes = 256 << 20

  /// Reads one document.
  ///
  /// - Parameters:
  ///   - text: The whole document.
  ///   - needs: What the fault of an empty one asks for.
  /// - Returns: The root.
  /// - Throws: The first fault.
  static func read(_ text: String, needs: String = "listeners and routes") throws(Fault) -> Node {
    try checkBounds(text)
    return try onDeepStack { () -> Result<Node, Fault> in
      Result { () throws(Fault) -> Node in try compose(text, needs: needs) }
    }.get()
  }

  // MARK: Bounds

  private static func checkBounds(_ text: String) throws(Fault) {
    guard text.utf8.count <= maximumBytes else {
      throw whole("the file has more than \(maximumBytes) bytes")
    }
    var line = 1
    var indent = 0
    var isIndent = true
    var openings = 0
    var aliases = 0
    var previous = UInt8(ascii: "\n")
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
        if byte == UInt8(ascii: "\n") { line += 1 }
        indent = 0
        isIndent = true
      case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"),
        UInt8(ascii: "\t"):
        if isIndent { indent += 1 }
      default:
        isIndent = false
        if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") { openings += 1 }
      }
      if previous == UInt8(ascii: "*"), isWord(byte) { aliases += 1 }
      previous = byte
      if indent > maximumIndent { throw at(line, "more than \(maximumIndent) columns of indent") }
      if openings > maximumOpenings {
        throw at(line, "more than \(maximumOpenings) brackets and braces")
      }
      if aliases > maximumAliases, text.utf8.contains(UInt8(ascii: "&")) {
        throw at(line, "more than \(maximumAliases) aliases; write the values out")
      }
    }
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func whole(_ message: String) -> Fault { at(1, message) }

  private static func at(_ line: Int, _ message: String) -> Fault {
    Fault(line: line, column: 1, path: "", message: message)
  }

  // MARK: Composing

  private static func compose(_ text: String, needs: String) throws(Fault) -> Node {
    do {
      guard let root = try Parser(yaml: text).singleRoot() else {
        throw whole("the file is empty; it needs at least \(needs)")
      }
      var room = maximumNodes
      try check(root, room: &room)
      return root
    } catch let fault as Fault {
      throw fault
    } catch let error as YamlError {
      throw fault(of: error)
    } catch {
      throw whole("this is not YAML: \(error)")
    }
  }

  /// Refuses trees that are too deep or too large to walk.
  private static func check(_ node: Node, depth: Int = 0, room: inout Int) throws(Fault) {
    func refusal(_ message: String) -> Fault {
      Fault(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1, path: "", message: message)
    }
    room -= 1
    guard room >= 0 else {
      throw refusal("more than \(maximumNodes) values once aliases are written out")
    }
    guard depth <= maximumDepth else { throw refusal("nested deeper than \(maximumDepth) levels") }
    switch node {
    case .scalar, .alias: break
    case .sequence(let items):
      for item in items { try check(item, depth: depth + 1, room: &room) }
    case .mapping(let pairs):
      for pair in pairs {
        try check(pair.key, depth: depth + 1, room: &room)
        try check(pair.value, depth: depth + 1, room: &room)
      }
    }
  }

  private static func fault(of error: YamlError) -> Fault {
    switch error {
    case .scanner(let context, let problem, let mark, _),
      .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let isAlias = context?.text.contains("alias") == true || problem.contains("alias")
      return Fault(
        line: mark.line,
        column: mark.column,
        path: "",
        message: "this is not YAML: " + (context.map { "\($0.text): " } ?? "") + problem
          + (isAlias ? "; a value that begins with * needs quotes" : "")
      )
    case .reader(let problem, _, _, _):
      return whole("this is not YAML: \(problem)")
    case .duplicatedKeysInMapping(let keys, let context):
      return Fault(
        line: context.mark.line,
        column: context.mark.column,
        path: "",
        message: "\(keys.joined(separator: ", ")) is given twice; keep one"
      )
    default:
      return whole("this is not YAML: \(error)")
    }
  }

  // MARK: Stack

  private final class Work {
    let body: () -> Result<Node, Fault>
    var result: Result<Node, Fault>?

    init(_ body: @escaping () -> Result<Node, Fault>) { self.body = body }
  }

  private static func onDeepStack(
    _ body: @escaping () -> Result<Node, Fault>
  ) -> Result<Node, Fault> {
    let work = Work(body)
    var attributes = pthread_attr_t()
    guard pthread_attr_init(&attributes) == 0 else { return .failure(whole("no memory")) }
    defer { pthread_attr_destroy(&attributes) }
    var thread = pthread_t()
    let pointer = Unmanaged.passRetained(work)
    guard pthread_attr_setstacksize(&attributes, stackBytes) == 0,
      pthread_create(
        &thread,
        &attributes,
        { pointer in
          guard let pointer else { return nil }
          let work = Unmanaged<Work>.fromOpaque(pointer).takeUnretainedValue()
          work.result = work.body()
          return nil
        },
        pointer.toOpaque()
      ) == 0
    else {
      pointer.release()
      return .failure(whole("no thread to parse with"))
    }
    pthread_join(thread, nil)
    pointer.release()
    return work.result ?? .failure(whole("the parser gave nothing"))
  }
}
