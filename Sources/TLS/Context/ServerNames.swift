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
    // Beside the first certificate the default has those of other kinds for its first name.
    var fallback = [0]
    if let name = entries[0].names.first {
      for index in Self.serving(name, entries) where entries[index].kind != entries[0].kind {
        fallback.append(index)
      }
    }
    groups = [fallback.sorted()]
    for name in entries.flatMap(\.names) {
      let group = groupIndex(Self.serving(name, entries))
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

  private mutating func groupIndex(_ members: [Int]) -> Int {
    if let known = groups.firstIndex(of: members) { return known }
    groups.append(members)
    return groups.count - 1
  }

  /// The best certificate of each kind for a name.
  private static func serving(_ name: String, _ entries: [Entry]) -> [Int] {
    let parent = name.firstIndex(of: ".").map { "*" + name[$0...] }
    var best: [PrivateKey.Kind: (index: Int, isExact: Bool)] = [:]
    for (index, entry) in entries.enumerated() {
      let isExact = entry.names.contains(name)
      guard isExact || parent.map(entry.names.contains) == true else { continue }
      if let known = best[entry.kind], known.isExact || !isExact { continue }
      best[entry.kind] = (index, isExact)
    }
    return best.values.map(\.index).sorted()
  }
}
