internal import ArgumentParser
internal import LoadEngine
internal import LoadKit

/// What makes a target believed that speaks TLS.
struct TrustOptions: ParsableArguments {
  @Option(help: "A PEM file of authorities in place of the system's, for https.")
  var authorities: String?

  @Flag(help: "Believe whoever answers, for https: for tests on this machine.")
  var insecure = false

  var trust: TargetTrust {
    get throws {
      guard !insecure || authorities == nil else {
        throw ValidationError("--insecure and --authorities exclude each other")
      }
      return insecure ? .insecure : authorities.map(TargetTrust.authorities) ?? .system
    }
  }
}

/// `--protocol`.
func wireProtocol(_ text: String) throws -> WireProtocol {
  guard let value = WireProtocol(rawValue: text) else {
    throw ValidationError("must be http1, h2 or auto")
  }
  return value
}
