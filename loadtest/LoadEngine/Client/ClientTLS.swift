internal import TLS

/// What makes a target believed that speaks TLS.
public enum TargetTrust: Equatable, Sendable {
  /// The system's authorities.
  case system
  /// Authorities in a PEM file.
  case authorities(String)
  /// Nothing: anybody on the way may have answered.
  case insecure
}

extension TargetTrust {
  /// The rules of every connection of a run.
  ///
  /// - Throws: What a user should read.
  func context(_ offers: [ApplicationProtocol]) throws(EngineError) -> TLSClientContext {
    do throws(TLSLoadError) {
      let verification: TLSClientSettings.Verification =
        switch self {
        case .system: .authorities(try TrustStore.system())
        case .authorities(let file): .authorities(try TrustStore(file: file))
        case .insecure: .insecure
        }
      var settings = TLSClientSettings(verification: verification)
      settings.applicationProtocols = offers
      return try TLSClientContext(settings)
    } catch {
      throw EngineError("\(error)")
    }
  }
}
