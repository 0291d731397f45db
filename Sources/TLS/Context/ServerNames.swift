/// Which certificates serve a host name.
///
/// For each kind of key the certificate that names the host exactly wins over a wildcard, and the
/// one that stands earlier over a later one. A wildcard stands for exactly one label
/// (RFC 6125 section 6.4.3).
struct ServerNames: Sendable {
  /// What the choice needs to know of a certificate.
  struct Entry {
    var names: [String]
    var kind: PrivateKey.Kind
  }

  /// Distinct choices: indices of certificates, at most one of each kind.
  ///
  /// The first is the default.
  private(set) var groups: [[Int]] = []
  private var exact: [String: Int] = [:]
  private var wildcard: [String: Int] = [:]

  /// - Parameter entries: At least one; the first is the default.
  init(_ entries: [Entry]) {
    precondition(!entries.isEmpty, "unvalidated settings")
    var holders: [String: [Int]] = [:]
    for (index, entry) in entries.enumerated() {
      for name in entry.names { holders[name, default: []].append(index) }
    }
    /// The best certificate of each kind for a name.
    func serving(_ name: String) -> [Int] {
      let parent = name.firstIndex(of: ".").map { "*" + name[$0...] }
      let candidates = (holders[name] ?? []) + (parent.flatMap { holders[$0] } ?? [])
      var best: [PrivateKey.Kind: Int] = [:]
      for index in candidates where best[entries[index].kind] == nil {
        best[entries[index].kind] = index
      }
      return best.values.sorted()
    }
    // Beside the first certificate the default has those of other kinds for its first name.
    let companions = entries[0].names.first.map(serving) ?? []
    groups = [[0] + companions.filter { entries[$0].kind != entries[0].kind }]
    var known = [groups[0]: 0]
    for name in holders.keys.sorted() {
      let members = serving(name)
      let group = known[members] ?? groups.count
      if group == groups.count {
        groups.append(members)
        known[members] = group
      }
      if name.hasPrefix("*.") {
        wildcard[String(name.dropFirst(2))] = group
      } else {
        exact[name] = group
      }
    }
  }

  /// The group for a name that a client asks for, `nil` when none has it.
  func group(for name: String) -> Int? {
    var name = name.lowercased()
    // An absolute name is the same host, though RFC 6066 section 3 forbids the dot.
    if name.hasSuffix(".") { name.removeLast() }
    if let found = exact[name] { return found }
    guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return nil }
    return wildcard[String(name[name.index(after: dot)...])]
  }
}
