/// Why a session ended before its time; every case is a reason for counters.
public enum TLSFault: UInt8, CaseIterable, Equatable, Sendable, BitwiseCopyable {
  /// The first bytes are an HTTP request in clear text.
  case plainHTTP
  /// The first bytes are no TLS record with a ClientHello.
  case notTLS
  /// A handshake message, or all of them together, over the bound.
  case handshakeTooLong
  /// No version that both sides allow.
  case unsupportedVersion
  /// No cipher suite, group or signature algorithm that both sides allow.
  case noSharedCipher
  /// The client offers application protocols and none of ours (RFC 7301 section 3.2).
  case noApplicationProtocol
  /// No certificate for the name that the client asks for, and none by default.
  case unknownName
  /// A certificate is required and the client sent none.
  case noClientCertificate
  /// The peer's certificate is not issued by an authority that is trusted.
  case unknownAuthority
  /// The peer's certificate has expired or is not valid yet.
  case certificateExpired
  /// The peer's certificate is malformed, weak, revoked or for another purpose.
  case badCertificate
  /// The server's certificate names another host.
  case nameMismatch
  /// None of the server's keys is pinned.
  case pinMismatch
  /// A record that cannot be authenticated.
  case badRecord
  /// A message that cannot be parsed, or makes no sense.
  case decodeError
  /// A message that does not belong where it came.
  case unexpectedMessage
  /// The peer wants to negotiate again (TLS 1.2).
  case renegotiation
  /// Key updates, tickets or warnings out of proportion to the data.
  case tooManyControlRecords
  /// The transport ended without close_notify (RFC 8446 section 6.1).
  case truncated
  /// The peer refuses our certificate (alerts 42 to 46, 48 and 116).
  case peerRefusesCertificate
  /// The peer refuses the versions we offer (alert 70).
  case peerRefusesVersion
  /// The peer finds nothing in common (alerts 40, 71, 112 and 120).
  case peerRefusesHandshake
  /// Any other fatal alert of the peer.
  case peerAlert
  /// Our own mistake, or memory is out.
  case internalError

  /// A name for metrics and logs, in kebab case.
  public var reason: StaticString {
    switch self {
    case .plainHTTP: "plain-http"
    case .notTLS: "not-tls"
    case .handshakeTooLong: "handshake-too-long"
    case .unsupportedVersion: "unsupported-version"
    case .noSharedCipher: "no-shared-cipher"
    case .noApplicationProtocol: "no-application-protocol"
    case .unknownName: "unknown-name"
    case .noClientCertificate: "no-client-certificate"
    case .unknownAuthority: "unknown-authority"
    case .certificateExpired: "certificate-expired"
    case .badCertificate: "bad-certificate"
    case .nameMismatch: "name-mismatch"
    case .pinMismatch: "pin-mismatch"
    case .badRecord: "bad-record"
    case .decodeError: "decode-error"
    case .unexpectedMessage: "unexpected-message"
    case .renegotiation: "renegotiation"
    case .tooManyControlRecords: "too-many-control-records"
    case .truncated: "truncated"
    case .peerRefusesCertificate: "peer-refuses-certificate"
    case .peerRefusesVersion: "peer-refuses-version"
    case .peerRefusesHandshake: "peer-refuses-handshake"
    case .peerAlert: "peer-alert"
    case .internalError: "internal-error"
    }
  }
}
