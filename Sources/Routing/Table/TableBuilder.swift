import HTTPCodec

/// Lays compiled rules out as a ``TableView``.
struct TableBuilder {
  private struct Places {
    var exact: [String: [Int]] = [:]
    var prefix: [String: [Int]] = [:]
    var patterns: [Int] = []
    var any: [Int] = []
  }

  private let rules: [CompiledRule]
  private var text: [UInt8] = []
  private var candidates: [Candidate] = []
  private var conditions: [Condition] = []
  private var patterns: [RegexView] = []
  private var groups: [HostGroup] = []
  private var pathNodes: [PathNode] = []
  private var pathEdges = EdgeMapBuilder()
  private var hosts = EdgeMapBuilder()
  private var labelNodes = [LabelNode()]
  private var labelEdges = EdgeMapBuilder()
  private var anyGroup: Int32 = -1
  private var hasHosts = false
  private var hasWildcards = false

  private init(_ rules: [CompiledRule]) { self.rules = rules }

  static func view(of rules: [CompiledRule], ownMethods: [String]) -> TableView {
    var builder = TableBuilder(rules)
    builder.addHosts()
    return builder.finish(ownMethods)
  }

  private mutating func addHosts() {
    var order: [HostPattern] = []
    var places: [HostPattern: Places] = [:]
    for (index, rule) in rules.enumerated() {
      if places[rule.host] == nil { order.append(rule.host) }
      switch rule.path {
      case .any: places[rule.host, default: Places()].any.append(index)
      case .regex: places[rule.host, default: Places()].patterns.append(index)
      case .exact(let path):
        places[rule.host, default: Places()].exact[path, default: []].append(index)
      case .prefix(let prefix):
        places[rule.host, default: Places()].prefix[prefix, default: []].append(index)
      }
    }
    for host in order {
      let group = addGroup(places[host] ?? Places())
      switch host {
      case .any:
        anyGroup = group
      case .exact(let name):
        hasHosts = true
        let (start, length) = append(name)
        hosts.add(parent: 0, start: start, length: length, child: group)
      case .wildcard(let suffix):
        hasWildcards = true
        addSuffix(suffix, group)
      }
    }
    for index in labelNodes.indices.dropFirst() {
      let parent = labelEdges.parents[Int32(index)] ?? 0
      let above = labelNodes[Int(parent)]
      labelNodes[index].shorter = above.group >= 0 ? parent : above.shorter
    }
  }

  private mutating func append(_ string: String) -> (start: Int32, length: Int32) {
    let start = text.count
    text += string.utf8
    return (Int32(start), Int32(text.count - start))
  }

  private mutating func addSuffix(_ suffix: String, _ group: Int32) {
    var node: Int32 = 0
    for label in suffix.split(separator: ".").reversed() {
      let (start, length) = append(String(label))
      if let known = labelEdges.child(of: node, start, length, text) {
        text.removeLast(Int(length))
        node = known
        continue
      }
      let child = Int32(labelNodes.count)
      labelNodes.append(LabelNode())
      labelNodes[Int(node)].childCount += 1
      labelEdges.add(parent: node, start: start, length: length, child: child, text)
      node = child
    }
    labelNodes[Int(node)].group = group
  }

  private mutating func addGroup(_ places: Places) -> Int32 {
    let root = Int32(pathNodes.count)
    pathNodes.append(PathNode())
    // Sorted, so that the same rules give the same table.
    for (path, members) in places.exact.sorted(by: { $0.key < $1.key }) {
      let node = addPath(path, below: root)
      pathNodes[node].exact = list(members)
    }
    for (prefix, members) in places.prefix.sorted(by: { $0.key < $1.key }) {
      let node = addPath(prefix, below: root)
      pathNodes[node].prefix = list(members)
    }
    // A child always stands after its parent.
    for index in Int(root)..<pathNodes.count {
      guard let parent = pathEdges.parents[Int32(index)] else { continue }
      let above = pathNodes[Int(parent)]
      pathNodes[index].shorter = above.prefix.count > 0 ? parent : above.shorter
    }
    groups.append(HostGroup(root: root, patterns: list(places.patterns), any: list(places.any)))
    return Int32(groups.count - 1)
  }

  private mutating func addPath(_ path: String, below root: Int32) -> Int {
    var node = root
    // Of "/a/" the last segment is empty; of "" there is none.
    for segment in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      let (start, length) = append(String(segment))
      if let known = pathEdges.child(of: node, start, length, text) {
        text.removeLast(Int(length))
        node = known
        continue
      }
      let child = Int32(pathNodes.count)
      pathNodes.append(PathNode())
      pathNodes[Int(node)].childCount += 1
      pathEdges.add(parent: node, start: start, length: length, child: child, text)
      node = child
    }
    return Int(node)
  }

  private mutating func list(_ members: [Int]) -> CandidateList {
    let start = candidates.count
    let sorted = members.sorted { a, b in
      let (left, right) = (rules[a].rank, rules[b].rank)
      return left == right ? rules[a].index < rules[b].index : left > right
    }
    for member in sorted { addCandidate(rules[member]) }
    return CandidateList(start: Int32(start), count: Int32(members.count))
  }

  private mutating func addCandidate(_ rule: CompiledRule) {
    if let regex = rule.regex { patterns.append(regex.view) }
    candidates.append(
      Candidate(
        methods: rule.methods.rawValue,
        rule: Int32(rule.index),
        pattern: rule.regex == nil ? -1 : Int32(patterns.count - 1),
        conditions: Int32(conditions.count),
        headerCount: UInt16(rule.headers.count),
        queryCount: UInt16(rule.query.count)
      )
    )
    for header in rule.headers { addCondition(header, known: KnownField.named(header.name)) }
    for parameter in rule.query { addCondition(parameter, known: .other) }
  }

  private mutating func addCondition(_ condition: FieldCondition, known: KnownField) {
    let name = append(condition.name)
    let value = condition.value.map { append($0) }
    conditions.append(
      Condition(
        known: known,
        nameStart: name.start,
        nameLength: name.length,
        valueStart: value?.start ?? 0,
        valueLength: value?.length ?? -1
      )
    )
  }

  private mutating func finish(_ ownMethods: [String]) -> TableView {
    var names: [(Int32, Int32)] = []
    for name in ownMethods {
      let (start, length) = append(name)
      names.append((start, length))
    }
    return TableView(
      text: copy(text),
      candidates: copy(candidates),
      conditions: copy(conditions),
      patterns: copy(patterns),
      groups: copy(groups),
      pathNodes: copy(pathNodes),
      pathEdges: pathEdges.map(text),
      hosts: hosts.map(text),
      labelNodes: copy(labelNodes),
      labelEdges: labelEdges.map(text),
      hasHosts: hasHosts,
      hasWildcards: hasWildcards,
      anyGroup: anyGroup,
      ownMethods: copy(names),
      ownMethodCount: names.count
    )
  }
}
