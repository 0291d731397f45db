/// A rule whose parts were checked and brought to one spelling.
struct CompiledRule {
  enum Path: Hashable {
    case any
    case exact(String)
    /// Without a slash at its end; empty for `/`.
    case prefix(String)
    case regex(String)
  }

  var index: Int
  var name: String
  /// In lower case and without a trailing dot.
  var host: HostPattern
  var path: Path
  var regex: PathRegex?
  /// `all` when the rule names none.
  var methods: MethodSet
  /// In the order of their names.
  var headers: [FieldCondition]
  var query: [FieldCondition]
  var priority: Int

  /// What decides between rules of one host and path, greatest first; then nothing does.
  struct Rank: Hashable, Comparable {
    var namesMethods: Bool
    var headers: Int
    var query: Int
    var priority: Int

    static func < (a: Rank, b: Rank) -> Bool {
      (a.namesMethods ? 1 : 0, a.headers, a.query, a.priority)
        < (b.namesMethods ? 1 : 0, b.headers, b.query, b.priority)
    }
  }

  var rank: Rank {
    Rank(
      namesMethods: methods != .all,
      headers: headers.count,
      query: query.count,
      priority: priority
    )
  }

  /// How specific the host is: exact, then the longer wildcard, then any.
  var hostRank: Int {
    switch host {
    case .any: 0
    case .wildcard(let suffix): 1 + suffix.utf8.count
    case .exact: .max
    }
  }

  /// How specific the path is: exact, then the longer prefix, then patterns, then any.
  var pathRank: Int {
    switch path {
    case .any: 0
    case .regex: 1
    case .prefix(let prefix): 2 + prefix.utf8.count
    case .exact: .max
    }
  }
}
