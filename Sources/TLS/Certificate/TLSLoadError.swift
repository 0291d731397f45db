/// Why a context cannot be built, with the file that is to blame.
public struct TLSLoadError: Error, Equatable, Sendable {
  public enum Reason: Equatable, Sendable {
    /// The file cannot be read; the system's words.
    case unreadable(String)
    /// The file is larger than any that makes sense; its bound in bytes.
    case tooLarge(Int)
    /// No block `CERTIFICATE` in PEM form.
    case noCertificate
    /// A block `CERTIFICATE` that is no certificate.
    case malformedCertificate
    /// More certificates than a chain has; the bound.
    case chainTooLong(Int)
    /// No private key in PEM form.
    case noKey
    /// The key needs a passphrase.
    case encryptedKey
    /// The key belongs to another certificate.
    case keyMismatch(certificate: String)
    /// RSA below 2,048 bits, a curve below 224 bits, or another kind of key.
    case weakKey(String)
    /// Not a successful OCSP response in DER form.
    case malformedStaple
    /// An OCSP response for another certificate.
    case stapleMismatch(certificate: String)
    /// No certificate is given at all.
    case noCertificates
    /// OpenSSL does not accept a setting, named here with its value.
    case setting(String)
    /// OpenSSL refuses for a reason of its own.
    case library(String)
  }

  /// The file; empty where no file is to blame.
  public let file: String
  public let reason: Reason

  init(_ file: String, _ reason: Reason) {
    self.file = file
    self.reason = reason
  }
}

extension TLSLoadError: CustomStringConvertible {
  public var description: String { file.isEmpty ? text : "\(file): \(text)" }

  private var text: String {
    switch reason {
    case .unreadable(let words): "cannot be read: \(words)"
    case .tooLarge(let bound): "is larger than \(bound) bytes"
    case .noCertificate: "holds no certificate in PEM form"
    case .malformedCertificate: "holds a certificate that cannot be parsed"
    case .chainTooLong(let bound): "holds more than \(bound) certificates"
    case .noKey: "holds no private key in PEM form"
    case .encryptedKey: "holds a private key with a passphrase; store it without one"
    case .keyMismatch(let certificate): "does not hold the key of \(certificate)"
    case .weakKey(let words): "has a key that clients refuse: \(words)"
    case .malformedStaple: "is no successful OCSP response in DER form"
    case .stapleMismatch(let certificate):
      "is an OCSP response for another certificate than \(certificate)"
    case .noCertificates: "at least one certificate is needed"
    case .setting(let words): "OpenSSL does not know \(words)"
    case .library(let words): "refused by OpenSSL: \(words)"
    }
  }
}

/// Something about the files that does not keep them from being used, yet deserves a look.
public struct TLSLoadWarning: Equatable, Sendable {
  public enum Reason: Equatable, Sendable {
    /// Clients refuse the certificate since so many seconds after 1970.
    case expired(at: Int64)
    /// Clients refuse the certificate until so many seconds after 1970.
    case notYetValid(until: Int64)
    /// The certificate names no host, so that only the default can choose it.
    case noNames
    /// All its names have a certificate with the same kind of key that stands earlier.
    case neverChosen
    /// The OCSP response has run out and is not stapled.
    case staleStaple(since: Int64)
    /// A certificate of the chain does not issue the one before it.
    case brokenChain
  }

  public let file: String
  public let reason: Reason

  init(_ file: String, _ reason: Reason) {
    self.file = file
    self.reason = reason
  }
}

extension TLSLoadWarning: CustomStringConvertible {
  public var description: String { "\(file): \(text)" }

  private var text: String {
    switch reason {
    case .expired(let at): "the certificate expired at Unix time \(at)"
    case .notYetValid(let until): "the certificate is not valid until Unix time \(until)"
    case .noNames: "the certificate names no host"
    case .neverChosen: "other certificates stand before this one for all its names"
    case .staleStaple(let since): "the OCSP response has run out at Unix time \(since)"
    case .brokenChain: "a certificate of the chain does not issue the one before it"
    }
  }
}
