internal import CLinux
internal import Configuration
internal import Logging
internal import TLS
internal import Units

/// The TLS of all listeners and services: contexts by their settings, and the keys of tickets that
/// listeners share.
///
/// A context stays the same object while neither its settings nor its files change, so that a new
/// snapshot costs no reading. Slow plane only; workers have contexts through their snapshot.
final class CertificateStore: Sendable {
  /// One for the process: a session may be resumed with any worker, and after any reload.
  let tickets: TicketKeys
  private let state = Locked(State())
  private let logger: Logger?

  fileprivate struct State {
    var contexts: [TLSServerSettings: TLSServerContext] = [:]
    /// By listener.
    var byName: [String: TLSServerContext] = [:]
    var services = ServiceContexts()
  }

  /// The contexts of one configuration, by the names of listeners and services, and what the store
  /// is to know once that has taken effect.
  struct Contexts {
    let listeners: [String: TLSServerContext]
    let services: [String: TLSClientContext]
    fileprivate let state: State
  }

  /// `rotation`: How long a key of tickets seals.
  init(rotation: Nanoseconds, logger: Logger?) {
    tickets = TicketKeys(at: Instant(clinux_monotonic_now()), rotation: rotation)
    self.logger = logger
  }

  /// The contexts of listeners and services, and nothing of those that are gone.
  ///
  /// The store itself does not change before `commit`: a configuration that is refused for another
  /// reason must not make it believe that new files are in use.
  ///
  /// - Parameters:
  ///   - settings: The configuration that is to take effect.
  ///   - isFresh: Whether files are looked at again.
  /// - Returns: A context for each listener and each service that speaks TLS.
  /// - Throws: When files cannot be used.
  func prepare(
    _ settings: Settings,
    isFresh: Bool
  ) throws(EdgeError) -> Contexts {
    let (before, services) = state.withLock { ($0.contexts, $0.services) }
    var next: [TLSServerSettings: TLSServerContext] = [:]
    var byName: [String: TLSServerContext] = [:]
    for listener in settings.listeners {
      guard let tls = listener.tls else { continue }
      let key = TLSServerSettings(tls)
      if next[key] == nil, let known = before[key], !isFresh || !known.watch.isOutdated() {
        next[key] = known
      }
      do {
        let context = try next[key] ?? load(key)
        next[key] = context
        byName[listener.name] = context
      } catch {
        throw EdgeError(.certificates, "listener \(listener.name): \(error)")
      }
    }
    let nextServices = try services.adopting(settings, isFresh: isFresh) {
      logger?.warning("\($0)")
    }
    return Contexts(
      listeners: byName,
      services: nextServices.byService,
      state: State(contexts: next, byName: byName, services: nextServices)
    )
  }

  /// Takes over what `prepare` gave, when the configuration takes effect.
  func commit(_ contexts: Contexts) { state.withLock { $0 = contexts.state } }

  private func load(_ settings: TLSServerSettings) throws(TLSLoadError) -> TLSServerContext {
    let context = try TLSServerContext(settings, tickets: tickets)
    for warning in context.warnings { logger?.warning("\(warning)") }
    return context
  }

  /// The files of all contexts.
  var paths: [String] {
    Set(state.withLock { $0.contexts.values.flatMap(\.watch.paths) + $0.services.paths }).sorted()
  }

  /// When the certificates of each listener run out, in seconds since 1970.
  var expiries: [(listener: String, at: Int64)] {
    state.withLock { $0.byName.map { ($0.key, $0.value.expiry) } }
  }

  /// Whether a file holds something else than when it was read.
  var isOutdated: Bool {
    let (listeners, services) = state.withLock { (Array($0.contexts.values), $0.services) }
    return listeners.contains { $0.watch.isOutdated() } || services.isOutdated
  }

  /// Services that are spoken to over TLS, and whether nothing proves who they are.
  var services: [(service: String, isUnverified: Bool)] {
    state.withLock { $0.services.byService.map { ($0.key, $0.value.isInsecure) } }
  }

  func rotateTickets() { tickets.rotateIfDue(at: Instant(clinux_monotonic_now())) }
}

extension TLSServerSettings {
  init(_ setting: TLSSetting) {
    self.init(
      certificates: setting.certificates.map {
        CertificateFiles(certificate: $0.certificate, key: $0.key, staple: $0.ocsp)
      },
      clientCertificates: Self.clients(setting.clientCertificates),
      minimumVersion: setting.minimumVersion == .tls13 ? .tls13 : .tls12
    )
  }

  private static func clients(_ setting: TLSSetting.ClientCertificates) -> ClientCertificates {
    switch setting {
    case .off: .off
    case .optional(let authorities): .optional(authorities: authorities)
    case .required(let authorities): .required(authorities: authorities)
    }
  }
}
