/// Why a PROXY prelude was refused; every case is a reason for counters.
public enum ProxyFault: UInt8, CaseIterable, Equatable, Sendable, BitwiseCopyable {
  /// Longer than the bound, or a line of version 1 with more than 107 bytes.
  case tooLong
  /// A line of version 1 that does not follow its grammar.
  case malformedLine
  /// Another version than 2 behind the binary signature.
  case unsupportedVersion
  /// A command other than LOCAL and PROXY.
  case unsupportedCommand
  /// A family or transport that version 2 does not define, or datagrams over a stream.
  case unsupportedFamily
  /// Less room than the addresses of the family need.
  case shortAddresses
  /// A TLV that ends past the prelude, or a checksum that is not four bytes once.
  case malformedExtension
  /// The checksum does not match.
  case wrongChecksum

  /// A name for metrics and logs, in kebab case.
  public var reason: StaticString {
    switch self {
    case .tooLong: "too-long"
    case .malformedLine: "malformed-line"
    case .unsupportedVersion: "unsupported-version"
    case .unsupportedCommand: "unsupported-command"
    case .unsupportedFamily: "unsupported-family"
    case .shortAddresses: "short-addresses"
    case .malformedExtension: "malformed-extension"
    case .wrongChecksum: "wrong-checksum"
    }
  }
}
