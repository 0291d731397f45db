internal import Configuration
internal import Reactor
internal import Upstream

/// Lists of endpoints and names, as lines behind those of services.
///
/// ```
/// endpoint shop 3 0 1767225590 a.shop.internal:8080
/// endpoint shop 1 1 1767225590 [fd00::7]:8080 eu-1a
/// name a.shop.internal 10.0.1.5 10.0.1.6
/// ```
///
/// An endpoint's numbers are its weight, its priority and the moment at which the list was taken; its
/// zone stands behind its address, where it has one. The lines of a service stand together.
extension LearnedState {
  private static let longestAddress = 512

  /// Adds lines to `text`, whole lists and names, as far as they fit into `room` bytes.
  func addLists(to text: inout String, room: Int) {
    for list in lists where Self.isWord(list.service, Self.longestName) {
      var part = ""
      for listed in list.endpoints {
        let address = listed.endpoint.description
        // A path may have blanks; the source will name it again.
        guard Self.isWord(address, Self.longestAddress) else { continue }
        part += "endpoint \(list.service) \(listed.weight) \(listed.priority) \(list.heardAt)"
        part += " \(address)\(listed.zone.map { " \($0)" } ?? "")\n"
      }
      if text.utf8.count + part.utf8.count < room { text += part }
    }
    for name in names where Self.isWord(name.host, Self.longestName) && !name.addresses.isEmpty {
      let addresses = name.addresses.map(\.description).joined(separator: " ")
      let part = "name \(name.host) \(addresses)\n"
      if text.utf8.count + part.utf8.count < room { text += part }
    }
  }

  /// Takes the words of an `endpoint`.
  mutating func takeEndpoint(_ words: [String]) throws(LearnedFault) {
    guard (6...7).contains(words.count), names.isEmpty, Self.isWord(words[1], Self.longestName),
      let weight = Int(words[2]), (1...1_000).contains(weight),
      let priority = Int(words[3]), (0...7).contains(priority),
      let heardAt = Self.moment(words[4]), let address = Self.address(words[5])
    else { throw .damaged }
    let zone = words.count == 7 ? words[6] : nil
    guard zone.map(Zone.isName) ?? true else { throw .damaged }
    let listed = ListedEndpoint(address, weight: weight, priority: priority, zone: zone)
    guard lists.last?.service == words[1] else {
      guard lists.count < Settings.maximumServices else { throw .damaged }
      lists.append(List(service: words[1], heardAt: heardAt, endpoints: [listed]))
      return
    }
    let last = lists.count - 1
    guard lists[last].heardAt == heardAt,
      lists[last].endpoints.count < EndpointFile.maximumEndpoints
    else { throw .damaged }
    lists[last].endpoints.append(listed)
  }

  /// Takes the words of a `name`.
  mutating func takeName(_ words: [String]) throws(LearnedFault) {
    guard (3...(NameResolver.maximumAddresses + 2)).contains(words.count),
      names.count < NameResolver.maximumNames, Self.isWord(words[1], Self.longestName),
      words[1] == words[1].lowercased()
    else { throw .damaged }
    var addresses: [IPBytes] = []
    for word in words[2...] {
      guard let address = KernelAddress(ip: word, port: 0) else { throw .damaged }
      addresses.append(address.ip)
    }
    names.append(Name(host: words[1], addresses: addresses))
  }

  /// Whether each list and each name is there once, and all lists together are within their bound.
  var areListsSound: Bool {
    Set(lists.map(\.service)).count == lists.count && Set(names.map(\.host)).count == names.count
      && lists.reduce(0) { $0 + $1.endpoints.count } <= Discovery.maximumEndpoints
  }

  private static func address(_ word: String) -> ListedEndpoint.Address? {
    guard isWord(word, longestAddress) else { return nil }
    if word.hasPrefix("unix:") {
      let path = String(word.dropFirst(5))
      return path.hasPrefix("/") ? .unix(path) : nil
    }
    guard let colon = word.lastIndex(of: ":"),
      let port = UInt16(word[word.index(after: colon)...]), port > 0
    else { return nil }
    var host = String(word[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
      return KernelAddress(ip: host, port: port) == nil ? nil : .host(host, port: port)
    }
    return host.isEmpty || host.contains(":") ? nil : .host(host, port: port)
  }
}
