internal import CLinux
public import Configuration
internal import TLS
internal import Units

/// Judges the files that a configuration names by trying them.
public enum CertificateCheck {
  /// Finds what is wrong with certificates, keys and authorities.
  ///
  /// - Parameters:
  ///   - loaded: A configuration that is valid otherwise.
  ///   - file: What the error names.
  /// - Throws: Every fault, at the field that names the file.
  public static func judge(
    _ loaded: LoadedConfiguration,
    file: String
  ) throws(ConfigurationError) {
    var faults: Set<Fault> = []
    let tickets = TicketKeys(at: Instant(clinux_monotonic_now()))
    for (index, listener) in loaded.settings.listeners.enumerated() {
      guard let tls = listener.tls else { continue }
      let whole = TLSServerSettings(tls)
      var found: [TLSLoadError] = []
      // One by one, as building stops at the first that cannot be used.
      for certificate in whole.certificates {
        found += attempt(TLSServerSettings(certificates: [certificate]), tickets)
      }
      if found.isEmpty { found = attempt(whole, tickets) }
      for error in found {
        faults.insert(fault(error, under: "listeners[\(index)].tls", loaded.files))
      }
    }
    var services = ServiceContexts()
    for (index, service) in loaded.settings.services.enumerated() {
      guard let error = services.fault(service) else { continue }
      faults.insert(fault(error, under: "services[\(index)].tls", loaded.files))
    }
    guard !faults.isEmpty else { return }
    throw ConfigurationError(file: file, faults: faults.sorted(), text: loaded.text)
  }

  private static func attempt(
    _ settings: TLSServerSettings,
    _ tickets: TicketKeys
  ) -> [TLSLoadError] {
    do throws(TLSLoadError) {
      _ = try TLSServerContext(settings, tickets: tickets)
      return []
    } catch {
      return [error]
    }
  }

  private static func fault(
    _ error: TLSLoadError,
    under field: String,
    _ files: [FileReference]
  ) -> Fault {
    let own = files.filter { $0.field == field || $0.field.hasPrefix(field + ".") }
    let place =
      own.first { $0.path == error.file } ?? own.first { $0.path.isEmpty } ?? own.first
    return Fault(
      line: place?.line ?? 1,
      column: place?.column ?? 1,
      path: place?.field ?? field,
      message: error.description
    )
  }
}
