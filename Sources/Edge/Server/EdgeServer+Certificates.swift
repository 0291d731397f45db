internal import Logging
internal import TLS
internal import Telemetry

/// Certificates while the server runs: replaced files, and when they run out.
extension EdgeServer {
  func registerCertificates() {
    let certificates = certificates
    registry.register(
      "spillway_tls_certificate_expiry_timestamp_seconds",
      help: "When the first certificate of a listener runs out, since 1970.",
      .gauge
    ) {
      certificates.expiries.map { MetricSample(Double($0.at), ["listener": $0.listener]) }
    }
    registry.register(
      "spillway_tls_ticket_key_rotations_total",
      help: "Times that a new key began to seal session tickets.",
      .counter
    ) {
      [MetricSample(Double(certificates.tickets.rotations), [:])]
    }
    registry.register(
      "spillway_upstream_tls_unverified",
      help: "Whether a service is believed over TLS without any proof: 1 for tls.insecure.",
      .gauge
    ) {
      certificates.services.map { MetricSample($0.isUnverified ? 1 : 0, ["service": $0.service]) }
    }
  }

  /// Takes new certificates for connections that begin from now on, where files hold others.
  ///
  /// Those that cannot be used change nothing: files are often replaced one after the other, and
  /// the next change brings the next try.
  func renewCertificates() {
    guard certificates.isOutdated else { return }
    do throws(EdgeError) {
      try republish(readsFiles: true)
      registry.add(counters.secure.reloads[CertificateReload.applied.rawValue])
      options.logger?.notice("certificates replaced")
    } catch {
      registry.add(counters.secure.reloads[CertificateReload.refused.rawValue])
      options.logger?.error("the new certificates are refused, those before go on: \(error)")
    }
  }
}
