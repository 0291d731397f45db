import Foundation
import TLS

/// Issues certificates with the `openssl` command into a folder of its own.
final class WireAuthority: Sendable {
  struct Files: Sendable {
    let certificate: String
    let key: String
    /// The OCSP response that is to be stapled.
    var staple: String?

    /// As an entry of a listener's certificates.
    var entry: String {
      let ocsp = staple.map { ", ocsp: \"\($0)\"" } ?? ""
      return "{certificate: \"\(certificate)\", key: \"\(key)\"\(ocsp)}"
    }
  }

  /// One for the whole run: keys take time to make.
  static let shared = WireAuthority("Wire Authority")
  /// Another, which clients of the first one do not believe.
  static let stranger = WireAuthority("Somebody Else")
  static let host = "edge.test"

  let folder: String
  var bundle: String { folder + "/authority.pem" }
  /// The certificate of `host`.
  let server: Files

  private init(_ name: String) {
    let folder = NSTemporaryDirectory() + "spillway-wire-tls-\(getpid())-\(UUID().uuidString)"
    self.folder = folder
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    Self.openssl(
      ["req", "-x509"] + Self.newKey
        + ["-days", "30", "-subj", "/CN=\(name)"]
        + ["-keyout", folder + "/authority.key", "-out", folder + "/authority.pem"]
    )
    server = Self.issue(Self.host, in: folder)
  }

  /// - Parameters:
  ///   - name: The common name, and the DNS name unless `alternative` says otherwise.
  ///   - alternative: The whole extension, such as `IP:127.0.0.1`.
  ///   - days: How long it is valid from now; negative for one that has expired.
  /// - Returns: A certificate and its key.
  func issue(_ name: String, alternative: String? = nil, days: Int = 30) -> Files {
    Self.issue(name, alternative: alternative, days: days, in: folder)
  }

  /// An OCSP response that says a certificate is good; each call makes another one.
  func staple(for files: Files) -> String {
    let path = folder + "/" + UUID().uuidString + ".ocsp"
    let script = """
      serial=$(openssl x509 -in "$1" -noout -serial) &&
      printf 'V\\t991231235959Z\\t\\t%s\\tunknown\\t/CN=any\\n' "${serial#serial=}" >"$2.index" &&
      openssl ocsp -issuer "$3.pem" -cert "$1" -no_nonce -reqout "$2.request" &&
      openssl ocsp -index "$2.index" -CA "$3.pem" -rsigner "$3.pem" -rkey "$3.key" \\
        -reqin "$2.request" -respout "$2" -ndays 7
      """
    Self.run(["sh", "-c", script, "sh", files.certificate, path, folder + "/authority"])
    return path
  }

  private static let newKey = [
    "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
  ]

  private static func issue(
    _ name: String,
    alternative: String? = nil,
    days: Int = 30,
    in folder: String
  ) -> Files {
    let base = folder + "/" + UUID().uuidString
    openssl(
      ["req", "-new"] + newKey + ["-subj", "/CN=\(name)"]
        + ["-keyout", base + ".key", "-out", base + ".csr"]
    )
    try? Data("subjectAltName=\(alternative ?? "DNS:\(name)")\n".utf8)
      .write(to: URL(fileURLWithPath: base + ".ext"))
    openssl(
      ["x509", "-req", "-in", base + ".csr", "-CA", folder + "/authority.pem"]
        + ["-CAkey", folder + "/authority.key", "-days", "\(days)", "-extfile", base + ".ext"]
        + ["-out", base + ".pem"]
    )
    return Files(certificate: base + ".pem", key: base + ".key")
  }

  private static func openssl(_ arguments: [String]) { run(["openssl"] + arguments) }

  private static func run(_ command: [String]) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.standardOutput = FileHandle.nullDevice
    let said = Pipe()
    process.standardError = said
    guard (try? process.run()) != nil else { fatalError("the openssl command is missing") }
    let words = (try? said.fileHandleForReading.readToEnd()) ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      fatalError("\(command): \(String(decoding: words, as: UTF8.self))")
    }
  }

  /// What a client believes that knows this authority.
  func client(
    _ protocols: [ApplicationProtocol] = [],
    certificate: Files? = nil,
    _ change: (inout TLSClientSettings) -> Void = { _ in }
  ) throws -> TLSClientContext {
    var settings = TLSClientSettings(verification: .authorities(try TrustStore(file: bundle)))
    settings.applicationProtocols = protocols
    settings.certificate = certificate.map {
      CertificateFiles(certificate: $0.certificate, key: $0.key)
    }
    change(&settings)
    return try TLSClientContext(settings)
  }
}

extension EdgeSettings {
  /// A listener `public` that speaks TLS.
  static func secure(
    _ files: WireAuthority.Files...,
    tls: String = "",
    listener: String = ""
  ) -> EdgeSettings {
    let all = files.isEmpty ? [WireAuthority.shared.server] : files
    let entries = all.map(\.entry).joined(separator: ", ")
    let more = listener.isEmpty ? "" : ", \(listener)"
    return EdgeSettings(
      listener: "tls: {certificates: [\(entries)]\(tls.isEmpty ? "" : ", \(tls)")}\(more)"
    )
  }
}
