internal import COpenSSL
internal import Glibc

/// A certificate with its chain, key and OCSP response, all checked against each other.
struct Credential: Sendable {
  /// Longer chains than this are a mistake.
  static let longestChain = 10

  let files: CertificateFiles
  let leaf: Certificate
  let chain: [Certificate]
  let key: PrivateKey
  /// The OCSP response and the second since 1970 when it runs out.
  let staple: (bytes: [UInt8], until: Int64)?
  /// Host names in lower case, `*.` in front of wildcards.
  let names: [String]

  /// Loads and checks; what it read goes into `reading`.
  init(_ files: CertificateFiles, _ reading: inout FileReading) throws(TLSLoadError) {
    self.files = files
    var all = try Certificate.all(
      in: try reading.read(files.certificate),
      most: Self.longestChain
    )
    let leaf = all.removeFirst()
    self.leaf = leaf
    chain = all
    var secret = try reading.read(files.key)
    defer { secret.erase() }
    key = try PrivateKey(in: secret)
    guard key.fits(leaf) else {
      throw TLSLoadError(files.key, .keyMismatch(certificate: files.certificate))
    }
    staple = try Self.staple(files, leaf, &reading)
    let alternative = AlternativeNames(of: leaf.handle)
    // Without alternative names the common name counted once; no client of today looks at it.
    names = alternative.dns.map { $0.lowercased() }
    warn(&reading)
  }

  private static func staple(
    _ files: CertificateFiles,
    _ leaf: Certificate,
    _ reading: inout FileReading
  ) throws(TLSLoadError) -> (bytes: [UInt8], until: Int64)? {
    guard let path = files.staple else { return nil }
    let bytes = try reading.read(path).bytes
    var until: Int64 = .max
    defer { copenssl_clear_errors() }
    switch copenssl_staple_covers(bytes, bytes.count, leaf.handle, &until) {
    case 1: break
    case 0: throw TLSLoadError(path, .stapleMismatch(certificate: files.certificate))
    default: throw TLSLoadError(path, .malformedStaple)
    }
    if until < Int64(time(nil)) { reading.warn(path, .staleStaple(since: until)) }
    return (bytes, until)
  }

  private func warn(_ reading: inout FileReading) {
    let now = Int64(time(nil))
    let (from, until) = leaf.validity
    if until < now { reading.warn(files.certificate, .expired(at: until)) }
    if from > now { reading.warn(files.certificate, .notYetValid(until: from)) }
    if names.isEmpty { reading.warn(files.certificate, .noNames) }
    for (issued, issuer) in zip([leaf] + chain, chain) where !issuer.issued(issued) {
      reading.warn(files.certificate, .brokenChain)
      break
    }
  }
}
