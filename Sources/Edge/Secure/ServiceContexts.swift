internal import Configuration
internal import TLS

/// The TLS of all services: contexts by their settings, and the authorities that they share.
///
/// A context stays the same object while neither its settings nor its files change; a new one makes
/// all connections of its services new ones.
struct ServiceContexts {
  private struct Key: Hashable {
    let tls: ServiceTLSSetting
    let offers: [ApplicationProtocol]
  }

  private var contexts: [Key: TLSClientContext] = [:]
  /// By their file; the empty path stands for the system's own.
  private var stores: [String: TrustStore] = [:]
  private(set) var byService: [String: TLSClientContext] = [:]

  /// What a configuration needs, with what of it is known already.
  ///
  /// - Parameters:
  ///   - settings: The configuration that is to take effect.
  ///   - isFresh: Whether files are looked at again.
  ///   - warn: Hears what does not keep files from being used.
  /// - Returns: The contexts of that configuration, and nothing of services that are gone.
  /// - Throws: When files cannot be used.
  func adopting(
    _ settings: Settings,
    isFresh: Bool,
    warn: (String) -> Void
  ) throws(EdgeError) -> ServiceContexts {
    var next = ServiceContexts()
    for service in settings.services {
      guard let tls = service.tls else { continue }
      do {
        let context = try next.context(service, tls, from: self, isFresh: isFresh, warn)
        next.byService[service.name] = context
        if isFresh, context.isInsecure {
          warn("service \(service.name): tls.insecure: anybody on the way can pretend to be it")
        }
      } catch {
        throw EdgeError(.certificates, "service \(service.name): \(error)")
      }
    }
    return next
  }

  /// Finds what is wrong with a service's files by trying them.
  mutating func fault(_ service: ServiceSetting) -> TLSLoadError? {
    guard let tls = service.tls else { return nil }
    do throws(TLSLoadError) {
      _ = try context(service, tls, from: ServiceContexts(), isFresh: true) { _ in }
      return nil
    } catch {
      return error
    }
  }

  private mutating func context(
    _ service: ServiceSetting,
    _ tls: ServiceTLSSetting,
    from before: ServiceContexts,
    isFresh: Bool,
    _ warn: (String) -> Void
  ) throws(TLSLoadError) -> TLSClientContext {
    let key = Key(tls: tls, offers: service.wireProtocol.offers)
    if let known = contexts[key] { return known }
    let store = tls.isInsecure ? nil : try store(tls.authorities ?? "", before, isFresh: isFresh)
    if let known = before.contexts[key], known.store === store,
      !isFresh || !known.watch.isOutdated()
    {
      contexts[key] = known
      return known
    }
    let context = try TLSClientContext(TLSClientSettings(tls, store, offers: key.offers))
    for warning in context.warnings { warn("\(warning)") }
    contexts[key] = context
    return context
  }

  private mutating func store(
    _ file: String,
    _ before: ServiceContexts,
    isFresh: Bool
  ) throws(TLSLoadError) -> TrustStore? {
    if let known = stores[file] { return known }
    var store = before.stores[file]
    if isFresh, store?.watch.isOutdated() == true { store = nil }
    if store == nil { store = try file.isEmpty ? TrustStore.system() : TrustStore(file: file) }
    stores[file] = store
    return store
  }

  /// The files of all contexts.
  var paths: [String] {
    contexts.values.flatMap(\.watch.paths) + stores.values.flatMap(\.watch.paths)
  }

  /// Whether a file holds something else than when it was read.
  var isOutdated: Bool {
    contexts.values.contains { $0.watch.isOutdated() }
      || stores.values.contains { $0.watch.isOutdated() }
  }
}

extension TLSClientContext {
  /// The authorities that it believes.
  fileprivate var store: TrustStore? {
    if case .authorities(let store) = settings.verification { return store }
    return nil
  }
}

extension TLSClientSettings {
  /// `store`: The authorities; `nil` where none are asked.
  fileprivate init(
    _ setting: ServiceTLSSetting,
    _ store: TrustStore?,
    offers: [ApplicationProtocol]
  ) {
    let pins = setting.pins.compactMap { KeyPin($0) }
    if let store {
      self.init(verification: .authorities(store))
    } else {
      self.init(verification: pins.isEmpty ? .insecure : .pinnedKeysOnly)
    }
    self.pins = pins
    names = setting.names
    serverName = setting.serverName
    certificate = setting.credential.map {
      CertificateFiles(certificate: $0.certificate, key: $0.key)
    }
    minimumVersion = setting.minimumVersion == .tls13 ? .tls13 : .tls12
    applicationProtocols = offers
  }
}
