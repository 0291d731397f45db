internal import Yams

/// Reads how a service is spoken to over TLS.
enum ServiceTLSReader {
  private static let known = [
    "authorities", "serverName", "names", "pins", "certificate", "key", "insecure",
    "minimumVersion",
  ]

  static func read(_ field: Field, _ places: inout SettingsReader.Places) -> ServiceTLSSetting {
    let fields = field.map(known)
    var tls = ServiceTLSSetting()
    tls.authorities = fields["authorities"].map { TLSReader.file($0, &places) }
    tls.serverName = fields["serverName"].map(name)
    if let field = fields["names"] { tls.names = names(field) }
    if let field = fields["pins"] { tls.pins = pins(field) }
    tls.credential = credential(field, fields["certificate"], fields["key"], &places)
    if let field = fields["insecure"] { tls.isInsecure = isTrue(field) }
    if let version = fields["minimumVersion"]?.choice(TLSSetting.Version.self) {
      tls.minimumVersion = version
    }
    guard tls.isInsecure else { return tls }
    for name in ["authorities", "names"] {
      fields[name]?.fault("is not looked at where insecure is true; remove one of them")
    }
    return tls
  }

  /// Judges endpoints that have no name of their own to be verified by.
  ///
  /// An address is verified as such, a UNIX socket has nothing that a certificate could name.
  static func judge(_ service: ServiceSetting, _ endpoints: [Field]) {
    guard !service.allowsUnixEndpoints else { return }
    for (endpoint, field) in zip(service.endpoints, endpoints) {
      guard case .unix = endpoint else { continue }
      field.fault("a UNIX socket has no name that a certificate is for; say it in tls.serverName")
    }
  }

  /// Judges a source that says itself which names its endpoints have.
  ///
  /// Records of services come unsigned: whoever can forge one names a host that has a good
  /// certificate of its own (RFC 6125 section 6.2.1 rules out names that were looked up). So does
  /// whoever may write to a registry.
  static func judge(_ service: ServiceSetting, discovery: Field) {
    let kind: String
    switch service.discovery {
    case .services: kind = "SRV records are"
    case .registry: kind = "a registry are"
    case .file, .addresses, nil: return
    }
    guard !service.hasNameToVerify else { return }
    discovery.fault(
      "names of \(kind) no proof of who answers; say in tls.serverName or tls.names whom to verify"
    )
  }

  private static func credential(
    _ field: Field,
    _ certificate: Field?,
    _ key: Field?,
    _ places: inout SettingsReader.Places
  ) -> ServiceTLSSetting.Credential? {
    guard certificate != nil || key != nil else { return nil }
    guard let certificate, let key else {
      (certificate ?? key ?? field).fault("a client certificate needs both certificate and key")
      return nil
    }
    return ServiceTLSSetting.Credential(
      certificate: TLSReader.file(certificate, &places),
      key: TLSReader.file(key, &places)
    )
  }

  private static func name(_ field: Field) -> String {
    let text = field.text()
    guard case .scalar = field.node else { return text }
    if AddressReader.isIP(text) {
      field.fault("is an address, which is not sent as a name; write names: [\(text)]")
    } else if !AddressReader.isName(text) {
      field.fault("is no host name")
    }
    return text
  }

  /// Host names, or one address: TLS libraries compare no more than one.
  private static func names(_ field: Field) -> [String] {
    let entries = field.list()
    if entries.isEmpty { field.fault("must have at least one name") }
    let names = entries.map { $0.text() }
    for (entry, text) in zip(entries, names) {
      let isAddress = AddressReader.isIP(text)
      if !isAddress, !AddressReader.isName(text) {
        entry.fault("is neither a host name nor an address")
      } else if isAddress, names.count > 1 {
        entry.fault("an address must stand alone; a certificate is compared with one only")
      }
    }
    return names
  }

  private static func pins(_ field: Field) -> [String] {
    let entries = field.list()
    if entries.isEmpty { field.fault("must have at least one pin") }
    return entries.map { entry in
      let text = entry.text()
      if case .scalar = entry.node, !isPin(text) {
        entry.fault("is no pin; write sha256/ and the base64 of the public key's SHA-256")
      }
      return text
    }
  }

  /// 32 bytes in base64 are 43 digits, the last of which has two bits of nothing, and a sign.
  private static func isPin(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    let digits = bytes.dropFirst(7).dropLast()
    guard text.hasPrefix("sha256/"), digits.count == 43, bytes.last == 0x3D else { return false }
    return digits.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2B
        || byte == 0x2F
    }
  }

  private static func isTrue(_ field: Field) -> Bool {
    switch field.text() {
    case "true": return true
    case "false": return false
    default:
      if case .scalar = field.node { field.fault("must be true or false") }
      return false
    }
  }
}
