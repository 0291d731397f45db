/// Finds rules that make each other doubtful or useless.
///
/// Two rules can only be ambiguous when host, kind of path and rank are equal, so rules are sorted
/// into such buckets first; in a bucket, rules whose conditions name the same fields with different
/// values exclude each other and are never compared.
struct ConflictFinder {
  /// Most steps through pairs of pattern automata in one run, about a second's worth at most.
  static let maximumPatternSteps = 4_000_000

  private let rules: [CompiledRule]
  private var conflicts: [RouteConflict] = []
  private var reported: Set<Int> = []
  private var budget = ConflictFinder.maximumPatternSteps
  /// The literal start of each pattern, by position in `rules`.
  private var literals: [Int: (text: [UInt8], endsSegment: Bool)] = [:]

  private struct Place: Hashable {
    var host: HostPattern
    var path: CompiledRule.Path
  }

  private struct Bucket: Hashable {
    var place: Place
    var rank: CompiledRule.Rank
  }

  private init(_ rules: [CompiledRule]) { self.rules = rules }

  static func conflicts(in rules: [CompiledRule]) -> [RouteConflict] {
    var finder = ConflictFinder(rules)
    finder.run()
    return finder.conflicts.sorted { ($0.rule, $0.other) < ($1.rule, $1.other) }
  }

  private mutating func run() {
    var buckets: [Bucket: [Int]] = [:]
    var places: [Place: [Int]] = [:]
    for (index, rule) in rules.enumerated() {
      if let automaton = rule.regex?.automaton { literals[index] = automaton.literalPrefix }
      places[Place(host: rule.host, path: rule.path), default: []].append(index)
      // All patterns of a host may meet.
      let path: CompiledRule.Path = rule.regex == nil ? rule.path : .regex("")
      let bucket = Bucket(place: Place(host: rule.host, path: path), rank: rule.rank)
      buckets[bucket, default: []].append(index)
    }
    let inOrder = buckets.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
    for members in inOrder { findAmbiguous(members) }
    for members in places.values where members.count > 1 { findShadowed(members) }
    findShadowedByWiderPaths(places)
  }

  private mutating func report(
    _ kind: RouteConflict.Kind,
    _ rule: Int,
    by other: Int,
    _ explanation: String
  ) {
    guard reported.insert(rule).inserted else { return }
    conflicts.append(
      RouteConflict(
        kind: kind,
        rule: rules[rule].index,
        other: rules[other].index,
        explanation: explanation
      )
    )
  }

  // MARK: Ambiguous pairs

  /// Names that a rule has conditions on; `values` of rules with equal names exclude each other.
  private struct Signature: Hashable {
    var headers: [String]
    var query: [String]
    var hasAllValues: Bool

    init(_ rule: CompiledRule) {
      headers = rule.headers.map(\.name)
      query = rule.query.map(\.name)
      hasAllValues = (rule.headers + rule.query).allSatisfy { $0.value != nil }
    }
  }

  private mutating func findAmbiguous(_ members: [Int]) {
    var order: [Signature] = []
    var seen: [Signature: [[FieldCondition]: [Int]]] = [:]
    var all: [Signature: [Int]] = [:]
    for member in members {
      let rule = rules[member]
      let signature = Signature(rule)
      let values = rule.headers + rule.query
      if all[signature] == nil { order.append(signature) }
      search: for other in order {
        let candidates =
          other == signature && signature.hasAllValues ? seen[other]?[values] : all[other]
        for candidate in candidates ?? [] {
          guard let reason = ambiguity(candidate, member) else { continue }
          report(.ambiguous, member, by: candidate, reason)
          break search
        }
      }
      seen[signature, default: [:]][values, default: []].append(member)
      all[signature, default: []].append(member)
    }
  }

  private mutating func ambiguity(_ first: Int, _ second: Int) -> String? {
    let (a, b) = (rules[first], rules[second])
    guard !a.methods.isDisjoint(with: b.methods), Self.agree(a.headers, b.headers),
      Self.agree(a.query, b.query)
    else { return nil }
    let advice =
      "nothing decides between them;"
      + " give one a higher priority, or conditions that exclude the other"
    guard a.path != b.path else {
      return "\(a.name) and \(b.name) match the same requests and \(advice)"
    }
    switch patternsMeet(first, second) {
    case false: return nil
    case true: return "the patterns of \(a.name) and \(b.name) match a common path and \(advice)"
    case nil:
      return "the patterns of \(a.name) and \(b.name) could not be shown to exclude each other;"
        + " give one a higher priority"
    }
  }

  private mutating func patternsMeet(_ first: Int, _ second: Int) -> Bool? {
    if let a = literals[first]?.text, let b = literals[second]?.text,
      !a.starts(with: b), !b.starts(with: a)
    {
      return false
    }
    guard let a = rules[first].regex?.automaton, let b = rules[second].regex?.automaton else {
      return nil
    }
    return StateAutomaton.intersect(a, b, budget: &budget)
  }

  /// Whether one request can satisfy both lists; each is in the order of its names.
  private static func agree(_ a: [FieldCondition], _ b: [FieldCondition]) -> Bool {
    for condition in a {
      guard let value = condition.value,
        let other = b.first(where: { $0.name == condition.name })?.value
      else { continue }
      if value != other { return false }
    }
    return true
  }

  // MARK: Shadowed rules

  private struct Conditions: Hashable {
    var namesMethods: Bool
    var headers: [FieldCondition]
    var query: [FieldCondition]
  }

  /// Rules of one host and path: those of higher priority with the same conditions may take all
  /// methods between them.
  private mutating func findShadowed(_ members: [Int]) {
    var groups: [Conditions: [Int]] = [:]
    for member in members {
      let rule = rules[member]
      let conditions = Conditions(
        namesMethods: rule.methods != .all,
        headers: rule.headers,
        query: rule.query
      )
      groups[conditions, default: []].append(member)
    }
    for group in groups.values where group.count > 1 {
      let sorted = group.sorted { (rules[$0].priority, $1) > (rules[$1].priority, $0) }
      var taken: MethodSet = []
      var takenBefore: MethodSet = []
      var priority = Int.max
      for member in sorted {
        let rule = rules[member]
        if rule.priority < priority {
          takenBefore = taken
          priority = rule.priority
        }
        taken.formUnion(rule.methods)
        guard takenBefore.isSuperset(of: rule.methods),
          let other = sorted.first(where: {
            rules[$0].priority > rule.priority && !rules[$0].methods.isDisjoint(with: rule.methods)
          })
        else { continue }
        report(
          .shadowed,
          member,
          by: other,
          "\(rule.name) never wins: \(rules[other].name) matches the same requests"
            + " with a higher priority"
        )
      }
    }
  }

  /// Patterns yield to prefixes, and rules without a path to both.
  private mutating func findShadowedByWiderPaths(_ places: [Place: [Int]]) {
    var everyPath: [HostPattern: [Int]] = [:]
    for (index, rule) in rules.enumerated() {
      if rule.path == .prefix("") || rule.regex?.automaton?.matchesEveryPath == true {
        everyPath[rule.host, default: []].append(index)
      }
    }
    for (index, rule) in rules.enumerated() {
      var wider: [Int] = []
      switch rule.path {
      case .any:
        wider = everyPath[rule.host] ?? []
      case .regex:
        for prefix in coveringPrefixes(of: index) {
          wider += places[Place(host: rule.host, path: .prefix(prefix))] ?? []
        }
      case .exact, .prefix:
        continue
      }
      guard let other = wider.first(where: { covers(rules[$0], rule) }) else { continue }
      report(
        .shadowed,
        index,
        by: other,
        "\(rule.name) never wins: \(rules[other].name) matches the same requests"
          + " and its path ranks higher"
      )
    }
  }

  /// Every prefix that all paths of a pattern lie below.
  private func coveringPrefixes(of index: Int) -> [String] {
    guard let literal = literals[index] else { return [""] }
    var prefixes = [""]
    for end in 1..<(literal.text.count + 1) {
      let isBoundary =
        end == literal.text.count ? literal.endsSegment : literal.text[end] == UInt8(ascii: "/")
      if isBoundary { prefixes.append(String(decoding: literal.text[..<end], as: UTF8.self)) }
    }
    return prefixes
  }

  /// Whether `wider` holds, but for its path, whenever `rule` does.
  private func covers(_ wider: CompiledRule, _ rule: CompiledRule) -> Bool {
    func implied(_ conditions: [FieldCondition], by others: [FieldCondition]) -> Bool {
      conditions.allSatisfy { condition in
        others.contains {
          $0.name == condition.name && (condition.value == nil || condition.value == $0.value)
        }
      }
    }
    return wider.methods.isSuperset(of: rule.methods)
      && implied(wider.headers, by: rule.headers) && implied(wider.query, by: rule.query)
  }
}
