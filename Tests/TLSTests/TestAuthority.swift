import Foundation
import TLS

/// Issues certificates with the `openssl` command into a folder of its own.
struct TestAuthority: Sendable {
  enum Kind {
    case ecdsa
    case rsa(bits: Int)
  }

  /// One for the whole run: keys take time to make.
  static let shared = TestAuthority("Spillway Test Authority")
  /// Believed by nobody.
  static let stranger = TestAuthority("Somebody Else")

  /// Everything of this process, removed at its end.
  private static let root: String = {
    atexit { try? FileManager.default.removeItem(atPath: TestAuthority.rootPath) }
    return rootPath
  }()
  private static var rootPath: String { NSTemporaryDirectory() + "spillway-tls-\(getpid())" }

  let folder: String
  var bundle: String { path("authority.pem") }

  init(_ name: String) {
    folder = Self.root + "/" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    Self.openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "30",
      "-subj",
      "/CN=\(name)",
      "-keyout",
      path("authority.key"),
      "-out",
      path("authority.pem")
    )
  }

  func path(_ name: String) -> String { folder + "/" + name }

  func write(_ name: String, _ content: String) -> String {
    try? Data(content.utf8).write(to: URL(fileURLWithPath: path(name)))
    return path(name)
  }

  /// A certificate and its key.
  func issue(
    _ name: String,
    _ kind: Kind = .ecdsa,
    alternativeNames: String? = nil,
    subject: String? = nil,
    days: Int = 30
  ) -> CertificateFiles {
    let id = UUID().uuidString
    let key = path("\(id).key")
    let request = path("\(id).csr")
    let certificate = path("\(id).pem")
    let parameters =
      switch kind {
      case .ecdsa: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
      case .rsa(let bits): ["rsa:\(bits)"]
      }
    Self.openssl(
      ["req", "-new", "-newkey"] + parameters
        + ["-nodes", "-subj", subject ?? "/CN=\(name)", "-keyout", key, "-out", request]
    )
    let names = alternativeNames ?? "DNS:\(name)"
    let extensions = write(
      "\(id).ext",
      "basicConstraints=CA:FALSE\n" + (names.isEmpty ? "" : "subjectAltName=\(names)\n")
    )
    Self.openssl(
      "x509",
      "-req",
      "-in",
      request,
      "-CA",
      bundle,
      "-CAkey",
      path("authority.key"),
      "-days",
      "\(days)",
      "-extfile",
      extensions,
      "-out",
      certificate
    )
    return CertificateFiles(certificate: certificate, key: key)
  }

  @discardableResult
  static func openssl(_ arguments: String...) -> String { openssl(arguments) }

  @discardableResult
  static func openssl(_ arguments: [String]) -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    let output = Pipe()
    let errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    guard (try? process.run()) != nil else { fatalError("the openssl command is missing") }
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let words = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      fatalError("openssl \(arguments): \(String(decoding: words, as: UTF8.self))")
    }
    return String(decoding: text, as: UTF8.self)
  }
}
