internal import Yams

/// Reads how a listener speaks TLS.
enum TLSReader {
  private enum Mode: String, CaseIterable {
    case off, optional, required
  }

  static func read(_ field: Field, _ places: inout SettingsReader.Places) -> TLSSetting {
    let fields = field.map(["certificates", "clientCertificates", "minimumVersion"])
    var tls = TLSSetting(certificates: [])
    if let certificates = fields["certificates"] {
      let list = certificates.list()
      if list.isEmpty { certificates.fault("must name at least one certificate") }
      tls.certificates = list.compactMap { certificate($0, &places) }
    } else {
      field.fault("needs certificates, such as [{certificate: api.pem, key: api.key}]")
    }
    if let clients = fields["clientCertificates"] {
      tls.clientCertificates = self.clients(clients, &places)
    }
    if let version = fields["minimumVersion"]?.choice(TLSSetting.Version.self) {
      tls.minimumVersion = version
    }
    return tls
  }

  private static func certificate(
    _ field: Field,
    _ places: inout SettingsReader.Places
  ) -> TLSSetting.Certificate? {
    let fields = field.map(["certificate", "key", "ocsp"])
    guard let certificate = fields["certificate"], let key = fields["key"] else {
      field.fault("needs a certificate and its key, each the path of a PEM file")
      return nil
    }
    return TLSSetting.Certificate(
      certificate: file(certificate, &places),
      key: file(key, &places),
      ocsp: fields["ocsp"].map { file($0, &places) }
    )
  }

  private static func clients(
    _ field: Field,
    _ places: inout SettingsReader.Places
  ) -> TLSSetting.ClientCertificates {
    let fields = field.map(["mode", "authorities"])
    let mode = fields["mode"]?.choice(Mode.self)
    if fields["mode"] == nil { field.fault("needs a mode: off, optional or required") }
    let authorities = fields["authorities"].map { file($0, &places) }
    switch mode {
    case nil, .off: return .off
    case .optional, .required:
      guard let authorities else {
        field.fault("needs authorities, the path of a PEM file with those that are believed")
        return .off
      }
      return mode == .required
        ? .required(authorities: authorities) : .optional(authorities: authorities)
    }
  }

  /// A file's path, from the configuration's folder.
  static func file(_ field: Field, _ places: inout SettingsReader.Places) -> String {
    let written = field.text()
    guard !written.isEmpty else {
      if case .scalar = field.node { field.fault("must be the path of a file") }
      return written
    }
    let isWhole = written.hasPrefix("/") || places.folder.isEmpty
    let path = isWhole ? written : "\(places.folder)/\(written)"
    places.files.append(
      FileReference(
        path: path,
        field: field.path,
        line: field.node.mark?.line ?? 1,
        column: field.node.mark?.column ?? 1
      )
    )
    return path
  }
}
