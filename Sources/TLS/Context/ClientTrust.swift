/// What a server asks of its clients, loaded.
struct ClientTrust {
  let store: TrustStore?
  let isRequired: Bool
  /// Distinguishes sessions: one that began under other rules is never resumed under these.
  let digest: [UInt8]

  init(
    _ setting: TLSServerSettings.ClientCertificates,
    _ reading: inout FileReading
  ) throws(TLSLoadError) {
    switch setting {
    case .off:
      store = nil
      isRequired = false
    case .optional(let authorities):
      store = try TrustStore(file: authorities, &reading)
      isRequired = false
    case .required(let authorities):
      store = try TrustStore(file: authorities, &reading)
      isRequired = true
    }
    let mode: UInt8 = store == nil ? 0 : (isRequired ? 2 : 1)
    digest = FileBytes.digest(of: Array("spillway".utf8) + [mode] + (store?.digest ?? []))
  }
}
