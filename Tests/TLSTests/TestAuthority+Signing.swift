import COpenSSL
import Foundation
import TLS

extension TestAuthority {
  /// An OCSP response that says the certificate is good, until so many minutes from now.
  ///
  /// The openssl command makes none that have run out.
  func staple(for files: CertificateFiles, minutes: Int = 60) -> String {
    let key = ownKey()
    let issuer = certificate(bundle)
    let leaf = certificate(files.certificate)
    let since = X509_gmtime_adj(nil, -7_200)
    let until = X509_gmtime_adj(nil, minutes * 60)
    let basic = OCSP_BASICRESP_new()
    let id = OCSP_cert_to_id(EVP_sha1(), leaf, issuer)
    OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, nil, since, until)
    OCSP_basic_sign(basic, issuer, key, EVP_sha256(), nil, 0)
    let response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic)
    defer {
      OCSP_RESPONSE_free(response)
      OCSP_BASICRESP_free(basic)
      OCSP_CERTID_free(id)
      ASN1_STRING_free(since)
      ASN1_STRING_free(until)
      X509_free(leaf)
      X509_free(issuer)
      EVP_PKEY_free(key)
    }
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = i2d_OCSP_RESPONSE(response, &bytes)
    guard count > 0, let bytes else { fatalError("no OCSP response was made") }
    defer { CRYPTO_free(bytes, #fileID, 0) }
    let path = path(UUID().uuidString + ".ocsp")
    try? Data(bytes: bytes, count: Int(count)).write(to: URL(fileURLWithPath: path))
    return path
  }

  /// The same certificate, signed anew to run out soon: the openssl command counts in days.
  func expiring(_ files: CertificateFiles, seconds: Int) -> CertificateFiles {
    let key = ownKey()
    let leaf = certificate(files.certificate)
    let path = path(UUID().uuidString + ".pem")
    let output = BIO_new_file(path, "w")
    defer {
      BIO_free(output)
      X509_free(leaf)
      EVP_PKEY_free(key)
    }
    X509_gmtime_adj(X509_getm_notAfter(leaf), seconds)
    X509_sign(leaf, key, EVP_sha256())
    PEM_write_bio_X509(output, leaf)
    return CertificateFiles(certificate: path, key: files.key)
  }

  private func certificate(_ path: String) -> OpaquePointer? {
    guard let bio = BIO_new_file(path, "r") else { return nil }
    defer { BIO_free(bio) }
    return copenssl_read_certificate(bio)
  }

  private func ownKey() -> OpaquePointer? {
    guard let bio = BIO_new_file(path("authority.key"), "r") else { return nil }
    defer { BIO_free(bio) }
    return PEM_read_bio_PrivateKey(bio, nil, nil, nil)
  }
}
