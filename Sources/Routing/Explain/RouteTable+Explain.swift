import HTTPCodec

extension RouteTable {
  /// The verdict on every rule, in the order in which they are considered.
  ///
  /// For people: it looks at each rule and allocates. It shares nothing with ``find(_:)`` but the
  /// checked rules and the patterns, and so serves to check it.
  public func explain(_ request: RouteRequest) -> [RouteExplanation] {
    let ordered = compiled.sorted { a, b in
      let left = (a.hostRank, a.pathRank)
      let right = (b.hostRank, b.pathRank)
      if left != right { return left > right }
      return a.rank == b.rank ? a.index < b.index : a.rank > b.rank
    }
    let facts = RequestFacts(request)
    var winner: CompiledRule?
    return ordered.map { rule in
      var verdict = takes(rule, facts)
      if verdict == .matched {
        if let winner {
          verdict = .outranked(by: winner.index, because: Self.advantage(of: winner, over: rule))
        } else {
          winner = rule
        }
      }
      return RouteExplanation(rule: rule.index, name: rule.name, verdict: verdict)
    }
  }

  private func takes(_ rule: CompiledRule, _ facts: RequestFacts) -> RouteVerdict {
    switch rule.host {
    case .any: break
    case .exact(let name):
      if facts.host != name { return .hostDiffers(expected: name) }
    case .wildcard(let suffix):
      let spare = facts.host.utf8.count - suffix.utf8.count - 1
      if spare < 1 || !facts.host.hasSuffix("." + suffix) {
        return .hostDiffers(expected: "*." + suffix)
      }
    }
    if let verdict = pathVerdict(rule, facts) { return verdict }
    if !takesMethod(rule, facts.request) {
      return .methodDiffers(expected: names(of: rule.methods))
    }
    for condition in rule.headers {
      guard let value = facts.header(condition.name) else {
        return .headerMissing(name: condition.name)
      }
      if let expected = condition.value, expected != value {
        return .headerDiffers(name: condition.name, expected: expected, actual: value)
      }
    }
    for condition in rule.query {
      guard let value = facts.parameter(condition.name) else {
        return .queryMissing(name: condition.name)
      }
      if let expected = condition.value, expected != value {
        return .queryDiffers(name: condition.name, expected: expected, actual: value)
      }
    }
    return .matched
  }

  private func pathVerdict(_ rule: CompiledRule, _ facts: RequestFacts) -> RouteVerdict? {
    let isPath = facts.path.hasPrefix("/")
    switch rule.path {
    case .any:
      return nil
    case .exact(let path):
      return facts.path == path ? nil : .pathDiffers(expected: path)
    case .prefix(let prefix):
      let matches = isPath && (facts.path == prefix || facts.path.hasPrefix(prefix + "/"))
      return matches ? nil : .pathDiffers(expected: "\(prefix.isEmpty ? "/" : prefix) or below")
    case .regex(let pattern):
      let path = facts.request.path
      let matches =
        path.baseAddress.map { rule.regex?.view.matches($0, count: path.count) == true } ?? false
      return isPath && matches ? nil : .pathDiffers(expected: "like \(pattern)")
    }
  }

  private static func advantage(of winner: CompiledRule, over rule: CompiledRule) -> String {
    let name = winner.name
    if winner.hostRank != rule.hostRank { return "\(name) has the more specific host" }
    if winner.pathRank != rule.pathRank { return "\(name) has the more specific path" }
    let (best, rank) = (winner.rank, rule.rank)
    if best.namesMethods != rank.namesMethods { return "\(name) names methods" }
    if best.headers != rank.headers { return "\(name) has more header conditions" }
    if best.query != rank.query { return "\(name) has more query conditions" }
    return "\(name) has the higher priority"
  }
}

/// The request as text.
private struct RequestFacts {
  let request: RouteRequest
  let host: String
  let path: String

  init(_ request: RouteRequest) {
    self.request = request
    var host = Self.text(request, request.hostStart, request.hostLength).lowercased()
    if host.count > 1, host.hasSuffix(".") { host.removeLast() }
    self.host = host
    path = String(decoding: request.path, as: UTF8.self)
  }

  private static func text(_ request: RouteRequest, _ start: Int, _ count: Int) -> String {
    let bytes = UnsafeBufferPointer(start: request.bytes + start, count: count)
    return String(decoding: bytes, as: UTF8.self)
  }

  func header(_ name: String) -> String? {
    var values: [String] = []
    for index in 0..<request.fieldCount {
      let field = request.fields[index]
      let fieldName = Self.text(request, Int(field.nameStart), Int(field.nameLength))
      guard fieldName.lowercased() == name else { continue }
      values.append(Self.text(request, Int(field.valueStart), Int(field.valueLength)))
    }
    return values.isEmpty ? nil : values.joined(separator: ", ")
  }

  func parameter(_ name: String) -> String? {
    let query = Self.text(request, request.queryStart, request.queryLength)
    for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
      let parts = pair.split(
        separator: UInt8(ascii: "="),
        maxSplits: 1,
        omittingEmptySubsequences: false
      )
      guard let first = parts.first, Self.decoded(Array(first)) == name else { continue }
      return parts.count > 1 ? Self.decoded(Array(parts[1])) : ""
    }
    return nil
  }

  private static func decoded(_ bytes: [UInt8]) -> String {
    let decoded = bytes.withUnsafeBufferPointer { bytes in
      var result: [UInt8] = []
      var index = 0
      if let base = bytes.baseAddress {
        while index < bytes.count { result.append(QueryText.decoded(base, &index, bytes.count)) }
      }
      return result
    }
    return String(decoding: decoded, as: UTF8.self)
  }
}
