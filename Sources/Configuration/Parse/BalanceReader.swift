internal import Units
internal import Yams

/// Reads how a service's endpoints are chosen, and what is said of each.
enum BalanceReader {
  /// `balance: p2c`, or a map with its kind and what that takes.
  static func read(_ field: Field, _ service: inout ServiceSetting) {
    guard case .mapping = field.node else {
      if let balance = field.choice(ServiceSetting.Balance.self) { service.balance = balance }
      return
    }
    let fields = field.map(["kind", "key", "loadBound"])
    if fields["kind"] == nil { field.fault("needs kind, such as p2c or ring-hash") }
    if let balance = fields["kind"]?.choice(ServiceSetting.Balance.self) {
      service.balance = balance
    }
    for name in ["key", "loadBound"] where service.balance != .ringHash {
      fields[name]?.fault("is for kind: ring-hash")
    }
    if let field = fields["key"] { service.hashKey = key(field) }
    if let field = fields["loadBound"] { service.loadBound = field.decimal(1.05...100) }
  }

  private static func key(_ field: Field) -> HashKeySetting {
    guard case .mapping = field.node else {
      if field.text() != "address" {
        field.fault("must be address, {header: NAME} or {cookie: NAME}")
      }
      return .address
    }
    let fields = field.map(["header", "cookie"])
    guard fields.count == 1 else {
      field.fault("must name one header or one cookie")
      return .address
    }
    if let field = fields["header"] { return .header(token(field).lowercased()) }
    if let field = fields["cookie"] { return .cookie(token(field)) }
    return .address
  }

  /// A token of RFC 9110 section 5.6.2, as names of fields and cookies are.
  private static func token(_ field: Field) -> String {
    let written = field.text()
    let others = Set("!#$%&'*+-.^_`|~".utf8)
    let isToken =
      !written.isEmpty && written.utf8.count <= 128
      && written.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || others.contains($0)
      }
    if !isToken { field.fault("\"\(written)\" is no name of a header or a cookie") }
    return written
  }

  /// An endpoint as text, or as a map with its address and more.
  static func endpoint(
    _ field: Field
  ) -> (field: Field, endpoint: ServiceSetting.Endpoint, traits: EndpointTraits)? {
    var traits = EndpointTraits()
    guard case .mapping = field.node else {
      return AddressReader.endpoint(field).map { (field, $0, traits) }
    }
    let fields = field.map(["address", "weight", "priority", "zone"])
    if let field = fields["weight"] { traits.weight = field.number(1...1_000) }
    if let field = fields["priority"] { traits.priority = field.number(0...7) }
    if let field = fields["zone"] { traits.zone = LoadReportReader.zone(field) }
    guard let address = fields["address"] else {
      field.fault("needs an address, such as 10.0.1.5:8080")
      return nil
    }
    return AddressReader.endpoint(address).map { (address, $0, traits) }
  }
}

extension ServiceSetting {
  /// What each endpoint is to others, in the order of `endpoints`.
  public func traits(of index: Int) -> EndpointTraits {
    endpointTraits.indices.contains(index) ? endpointTraits[index] : EndpointTraits()
  }

  /// The balance as a file says it.
  var balanceFlow: String {
    guard balance == .ringHash else { return balance.rawValue }
    let key =
      switch hashKey {
      case .address: "address"
      case .header(let name): "{header: \(YAMLWriter.quote(name))}"
      case .cookie(let name): "{cookie: \(YAMLWriter.quote(name))}"
      }
    return "{kind: \(balance.rawValue), key: \(key), loadBound: \(loadBound)}"
  }

  /// The endpoints as a file says them: text where nothing more is said.
  var endpointList: String {
    let entries = endpoints.enumerated().map { index, endpoint in
      let address = YAMLWriter.quote(endpoint.description)
      let traits = traits(of: index)
      guard traits != EndpointTraits() else { return address }
      let zone = traits.zone.map { ", zone: \(YAMLWriter.quote($0))" } ?? ""
      return "{address: \(address), weight: \(traits.weight), priority: \(traits.priority)\(zone)}"
    }
    return "[" + entries.joined(separator: ", ") + "]"
  }
}
