internal import Yams

/// Reads which registry lists a service's endpoints, and under what.
enum RegistryReader {
  private static let fields: [String: [String]] = [
    "etcd": ["prefix"], "consul": ["name", "tag", "datacenter"],
    "kubernetes": ["namespace", "name", "port"],
  ]

  /// - Parameters:
  ///   - kind: `etcd`, `consul` or `kubernetes`.
  ///   - field: What stands behind it.
  ///   - places: Takes the file of the token.
  /// - Returns: The setting, `nil` beside a fault where something is missing.
  static func read(
    _ kind: String,
    _ field: Field,
    _ places: inout SettingsReader.Places
  ) -> RegistrySetting? {
    guard field.isMap else {
      field.fault("must be a map; write its fields on lines of their own")
      return nil
    }
    let fields = field.map(["service", "tokenFile"] + (Self.fields[kind] ?? []))
    let required = ["service"] + (Self.fields[kind] ?? []).filter { !optional.contains($0) }
    let missing = required.filter { fields[$0] == nil }
    if let first = missing.first {
      field.fault("needs \(missing.joined(separator: " and ")), such as \(example(kind, first))")
    }
    let service = fields["service"]?.name()
    let file = fields["tokenFile"].map { TLSReader.file($0, &places) }
    guard let service, let subject = subject(kind, fields) else { return nil }
    return RegistrySetting(service: service, subject, tokenFile: file)
  }

  /// Where a service's discovery names its registry.
  static func service(_ discovery: Field) -> Field? {
    guard case .mapping(let mapping) = discovery.node else { return nil }
    for (key, value) in mapping {
      guard let kind = key.string, fields[kind] != nil, case .mapping(let inner) = value,
        let node = inner.first(where: { $0.key.string == "service" })?.value
      else { continue }
      return Field(
        node: node,
        path: "\(discovery.path).\(kind).service",
        reader: discovery.reader
      )
    }
    return nil
  }

  private static let optional: Set<String> = ["tag", "datacenter", "port"]

  private static func example(_ kind: String, _ field: String) -> String {
    switch field {
    case "prefix": "prefix: /services/catalog/"
    case "namespace": "namespace: shop"
    case "name": "name: catalog"
    default: "service: \(kind)"
    }
  }

  private static func subject(
    _ kind: String,
    _ fields: [String: Field]
  ) -> RegistrySetting.Subject? {
    switch kind {
    case "etcd": return fields["prefix"].map { .etcd(prefix: word($0, most: 512)) }
    case "consul":
      return fields["name"].map {
        .consul(
          name: word($0, most: 128),
          tag: fields["tag"].map { word($0, most: 128) },
          datacenter: fields["datacenter"].map { word($0, most: 128) }
        )
      }
    default:
      guard let namespace = fields["namespace"], let name = fields["name"] else { return nil }
      return .kubernetes(
        namespace: label(namespace),
        name: label(name),
        port: fields["port"].map(port)
      )
    }
  }

  /// Text without blanks, which are hardly ever meant, and within what a target holds.
  private static func word(_ field: Field, most: Int) -> String {
    let text = field.text()
    guard field.isScalar else { return text }
    if text.isEmpty || text.utf8.count > most
      || text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F })
    {
      field.fault("must have 1 to \(most) bytes and no blanks")
    }
    return text
  }

  /// A name as Kubernetes has it (RFC 1035 section 2.3.1, and RFC 1123 section 2.1).
  private static func label(_ field: Field) -> String {
    let text = field.text()
    let isLabel =
      (1...63).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasSuffix("-")
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
      }
    if field.isScalar, !isLabel {
      field.fault("\"\(text)\" is no name of Kubernetes: a-z, 0-9 and dashes, at most 63")
    }
    return text
  }

  /// A number, or the name that the service gives the port.
  private static func port(_ field: Field) -> RegistrySetting.Port {
    let text = field.text()
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return .name(label(field))
    }
    return .number(UInt16(field.number(1...65_535)))
  }
}

/// Addresses that registries say, by the rules of configurations.
public enum RegistryAddress {
  /// A host and its port, in the one spelling that all have that mean the same.
  ///
  /// UNIX sockets are none: what others write is not to name sockets of this machine.
  public static func read(_ text: String) -> (host: String, port: UInt16)? {
    AddressReader.host(text).map { (AddressReader.canonical($0.host), $0.port) }
  }
}
