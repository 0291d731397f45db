import HTTPCodec

/// Checks rules one by one and brings them to one spelling.
struct RuleCompiler {
  private(set) var compiled: [CompiledRule] = []
  private(set) var faults: [RouteTableError] = []
  /// Methods beyond the known ones, in the order of their bits.
  private(set) var ownMethods: [String] = []

  private let policy: PathPolicy

  init(_ rules: [RouteRule], policy: PathPolicy) {
    // A pattern may hold slashes that no request path keeps under this policy; it is brought to
    // the same spelling, not refused.
    self.policy = policy
    compiled.reserveCapacity(rules.count)
    if rules.count > RouteTable.maximumRules {
      faults.append(
        RouteTableError(
          rule: RouteTable.maximumRules,
          part: .rule,
          message: "there are \(rules.count) routes; a table holds \(RouteTable.maximumRules)"
        )
      )
      return
    }
    for (index, rule) in rules.enumerated() { compile(rule, index) }
    checkPlaces()
  }

  private mutating func compile(_ rule: RouteRule, _ index: Int) {
    let faultsBefore = faults.count
    let host = checkedHost(rule.host, index)
    let (path, regex) = checkedPath(rule.path, index)
    let result = CompiledRule(
      index: index,
      name: rule.name,
      host: host,
      path: path,
      regex: regex,
      methods: checkedMethods(rule.methods, index),
      headers: checkedHeaders(rule.headers, index),
      query: checkedQuery(rule.query, index),
      priority: rule.priority
    )
    if faults.count == faultsBefore { compiled.append(result) }
  }

  private mutating func report(
    _ rule: Int,
    _ part: RouteTableError.Part,
    item: Int? = nil,
    column: Int? = nil,
    _ message: String
  ) {
    faults.append(
      RouteTableError(rule: rule, part: part, item: item, column: column, message: message)
    )
  }

  private mutating func checkedHost(_ host: HostPattern, _ rule: Int) -> HostPattern {
    switch host {
    case .any:
      return .any
    case .exact(let text):
      return .exact(checkedName(text, rule, allowsLiteral: true))
    case .wildcard(let text):
      return .wildcard(checkedName(text, rule, allowsLiteral: false))
    }
  }

  private mutating func checkedName(_ text: String, _ rule: Int, allowsLiteral: Bool) -> String {
    var name = text.lowercased()
    if name.hasSuffix(".") { name.removeLast() }
    if allowsLiteral, name.hasPrefix("["), name.hasSuffix("]") {
      let isAddress = name.utf8.dropFirst().dropLast().allSatisfy {
        ByteSet("0123456789abcdef:.").contains($0)
      }
      if !isAddress { report(rule, .host, "\(text) is not an IPv6 address in brackets") }
      return name
    }
    if name.contains("*") {
      report(rule, .host, "a wildcard stands for whole labels at the start: *.example.com")
    } else if name.contains(":") {
      report(rule, .host, "the host is matched without its port: leave out what follows the colon")
    } else if name.utf8.count > 253 {
      report(rule, .host, "a host name has at most 253 characters")
    } else if name.isEmpty || name.hasPrefix(".") || name.hasSuffix(".") || name.contains("..") {
      report(rule, .host, "\"\(text)\" has an empty label")
    } else if !name.utf8.allSatisfy({ ByteSet.wordCharacters.contains($0) || $0 == 45 || $0 == 46 })
    {
      report(rule, .host, "\"\(text)\" is not a host name; write others than ASCII in punycode")
    }
    return name
  }

  private mutating func checkedPath(
    _ path: PathPattern,
    _ rule: Int
  ) -> (CompiledRule.Path, PathRegex?) {
    switch path {
    case .any:
      return (.any, nil)
    case .exact(let text):
      return (.exact(checkedPath(text, rule, .path)), nil)
    case .prefix(let text):
      var prefix = Substring(checkedPath(text, rule, .pathPrefix))
      while prefix.hasSuffix("/") { prefix.removeLast() }
      return (.prefix(String(prefix)), nil)
    case .regex(let text):
      do {
        let regex = try PathRegex(text)
        if regex.automaton?.next(StateAutomaton.start, UInt8(ascii: "/")) == StateAutomaton.dead {
          report(rule, .pathRegex, column: 1, "this never matches: every path begins with /")
        }
        return (.regex(text), regex)
      } catch {
        report(rule, .pathRegex, column: error.column, error.message)
        return (.regex(text), nil)
      }
    }
  }

  private mutating func checkedPath(
    _ text: String,
    _ rule: Int,
    _ part: RouteTableError.Part
  ) -> String {
    guard text.hasPrefix("/") else {
      report(rule, part, column: 1, "a path begins with /")
      return text
    }
    // Operators may write what a client has to escape.
    let escaped = text.utf8.reduce(into: "") { result, byte in
      if byte == 0x20 || byte >= 0x80 {
        let hex = String(byte, radix: 16, uppercase: true)
        result += "%" + hex
      } else {
        result.unicodeScalars.append(Unicode.Scalar(byte))
      }
    }
    do {
      return try PathNormaliser.normalised(escaped, policy: policy)
    } catch {
      report(rule, part, "no request path looks like this: it is refused as \(error.reason)")
      return text
    }
  }

  private mutating func checkedMethods(_ methods: [String], _ rule: Int) -> MethodSet {
    if methods.isEmpty { return .all }
    var set: MethodSet = []
    for (item, text) in methods.enumerated() {
      let bit = bit(of: text, rule, item)
      if !bit.isEmpty, set.contains(bit) {
        report(rule, .methods, item: item, "\(text) is listed twice")
      }
      set.formUnion(bit)
    }
    return set
  }

  private mutating func bit(of text: String, _ rule: Int, _ item: Int) -> MethodSet {
    guard Self.isToken(text) else {
      report(rule, .methods, item: item, "\"\(text)\" is not a method; write GET, POST and so on")
      return []
    }
    guard text.utf8.count <= RouteTable.maximumMethodBytes else {
      report(
        rule,
        .methods,
        item: item,
        "a method has at most \(RouteTable.maximumMethodBytes) bytes"
      )
      return []
    }
    let known = Method.allCases.filter { $0 != .other }
    if let method = known.first(where: { "\($0.name)" == text }) { return MethodSet(method) }
    if let method = known.first(where: { "\($0.name)" == text.uppercased() }) {
      report(rule, .methods, item: item, "methods are case-sensitive; write \(method.name)")
      return []
    }
    if let index = ownMethods.firstIndex(of: text) {
      return MethodSet(rawValue: 1 << UInt32(MethodSet.firstOwnBit + index))
    }
    guard ownMethods.count < MethodSet.maximumOwn else {
      report(
        rule,
        .methods,
        item: item,
        "at most \(MethodSet.maximumOwn) methods beyond the standard ones can be named"
      )
      return []
    }
    ownMethods.append(text)
    return MethodSet(rawValue: 1 << UInt32(MethodSet.firstOwnBit + ownMethods.count - 1))
  }

  private mutating func checkedHeaders(
    _ headers: [FieldCondition],
    _ rule: Int
  ) -> [FieldCondition] {
    let result = headers.map { FieldCondition(name: $0.name.lowercased(), value: $0.value) }
    for (item, header) in result.enumerated() {
      if !Self.isToken(header.name) {
        report(rule, .headers, item: item, "\"\(header.name)\" is not a header name")
      }
      if let value = header.value {
        let hasControls = value.utf8.contains { ($0 < 0x20 && $0 != 9) || $0 == 0x7F }
        let isPadded =
          value.hasPrefix(" ") || value.hasPrefix("\t") || value.hasSuffix(" ")
          || value.hasSuffix("\t")
        if hasControls || isPadded {
          report(
            rule,
            .headers,
            item: item,
            "a header value has no control characters and no blanks at its ends"
          )
        }
      }
    }
    checkRepetition(of: result, rule, .headers)
    return result.sorted { $0.name < $1.name }
  }

  private mutating func checkedQuery(_ query: [FieldCondition], _ rule: Int) -> [FieldCondition] {
    for (item, parameter) in query.enumerated() where parameter.name.isEmpty {
      report(rule, .query, item: item, "a query parameter has a name")
    }
    checkRepetition(of: query, rule, .query)
    return query.sorted { $0.name < $1.name }
  }

  private mutating func checkRepetition(
    of conditions: [FieldCondition],
    _ rule: Int,
    _ part: RouteTableError.Part
  ) {
    if conditions.count > RouteTable.maximumConditions {
      report(rule, part, "at most \(RouteTable.maximumConditions) conditions can be named")
    }
    var seen: Set<String> = []
    for (item, condition) in conditions.enumerated()
    where !seen.insert(condition.name).inserted {
      report(rule, part, item: item, "\(condition.name) is listed twice; both can never hold")
    }
  }

  /// Rules of one place are tried one after another, so there is a bound on them.
  private mutating func checkPlaces() {
    struct Place: Hashable {
      var host: HostPattern
      var path: CompiledRule.Path
    }
    var counts: [Place: Int] = [:]
    for rule in compiled {
      // All patterns of a host are one place.
      let path: CompiledRule.Path = rule.regex == nil ? rule.path : .regex("")
      counts[Place(host: rule.host, path: path), default: 0] += 1
      if counts[Place(host: rule.host, path: path)] == RouteTable.maximumRulesPerPlace + 1 {
        report(
          rule.index,
          .rule,
          "more than \(RouteTable.maximumRulesPerPlace) routes share this host and "
            + (rule.regex == nil ? "path" : "are matched by pathRegex")
            + "; they are tried one by one, so split them by path"
        )
      }
    }
  }

  private static func isToken(_ text: String) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy {
        ByteSet.wordCharacters.contains($0) || ByteSet("!#$%&'*+-.^`|~").contains($0)
      }
  }
}
