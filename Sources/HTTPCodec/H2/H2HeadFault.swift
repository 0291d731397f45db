/// Why a head, a trailer section or a body was refused.
///
/// Source: RFC 9113 sections 8.1 to 8.5. Everything but the oversized ones makes the message
/// malformed: its stream is reset with PROTOCOL_ERROR and nothing of it is passed on.
public enum H2HeadFault: UInt8, Error, CaseIterable, Equatable, Sendable, BitwiseCopyable {
  /// A field name that is empty or not a token.
  case malformedFieldName
  /// A field name with a capital letter (section 8.2.1).
  case capitalFieldName
  /// A control character in a field value; CR, LF and NUL among them.
  case malformedFieldValue
  /// A field value that starts or ends with whitespace (section 8.2.1).
  case paddedFieldValue
  /// Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding or Upgrade (section 8.2.2).
  case connectionSpecificField
  /// TE other than `trailers` (section 8.2.2).
  case malformedTE
  /// A pseudo-header field behind a regular one (section 8.3).
  case latePseudoField
  /// A pseudo-header field twice.
  case repeatedPseudoField
  /// A pseudo-header field that is unknown or belongs to another kind of message.
  case unknownPseudoField
  /// No `:method`, `:scheme` or `:path` where there must be one, or no `:status`.
  case missingPseudoField
  /// A method that is empty, no token, or longer than any in use.
  case malformedMethod
  /// A scheme other than `http` and `https`.
  case malformedScheme
  /// A path that is empty, does not start with a slash, or holds a forbidden byte.
  case malformedPath
  /// Neither `:authority` nor Host.
  case missingAuthority
  /// An authority that names no host, has a bad port, or holds user information.
  case malformedAuthority
  /// More than one Host.
  case repeatedHost
  /// Host and `:authority` differ (section 8.3.1).
  case disagreeingHost
  /// Content-Length that is not one number within 63 bits.
  case malformedContentLength
  /// More than one Content-Length, equal or not.
  case repeatedContentLength
  /// Content-Length is not the number of bytes in the body (section 8.1.1).
  case disagreeingContentLength
  /// CONNECT although it is not enabled.
  case connectNotEnabled
  /// CONNECT with fields it must not have, or without a port (section 8.5).
  case malformedConnect
  /// `:protocol` although extended CONNECT is not enabled, or without CONNECT (RFC 8441).
  case malformedProtocol
  /// `:status` other than three digits in `100...599`, or 101 (section 8.6).
  case malformedStatus
  /// A field that must not be in a trailer section, pseudo-header fields included.
  case forbiddenTrailer
  /// A second section that does not end the stream, or an interim response that does.
  case misplacedEnd
  /// A body where there must be none.
  case unexpectedBody
  /// A field list over its bound in bytes.
  case headTooLarge
  /// More fields than the bound.
  case tooManyFields
  /// A path over its bound.
  case pathTooLong

  /// Whether the request is well-formed but over a bound of ours: it gets an answer, not a reset.
  public var isOversized: Bool { status != 400 }

  /// The status to answer a client with: 400, 414 or 431.
  ///
  /// A refused response is the upstream's fault; its caller answers 502 whatever this says.
  public var status: Int {
    switch self {
    case .headTooLarge, .tooManyFields: 431
    case .pathTooLong: 414
    default: 400
    }
  }

  /// A name for metrics and problem documents, in kebab case.
  public var reason: StaticString {
    switch self {
    case .malformedFieldName: "malformed-field-name"
    case .capitalFieldName: "capital-field-name"
    case .malformedFieldValue: "malformed-field-value"
    case .paddedFieldValue: "padded-field-value"
    case .connectionSpecificField: "connection-specific-field"
    case .malformedTE: "malformed-te"
    case .latePseudoField: "late-pseudo-field"
    case .repeatedPseudoField: "repeated-pseudo-field"
    case .unknownPseudoField: "unknown-pseudo-field"
    case .missingPseudoField: "missing-pseudo-field"
    case .malformedMethod: "malformed-method"
    case .malformedScheme: "malformed-scheme"
    case .malformedPath: "malformed-path"
    case .missingAuthority: "missing-authority"
    case .malformedAuthority: "malformed-authority"
    case .repeatedHost: "repeated-host"
    case .disagreeingHost: "disagreeing-host"
    case .malformedContentLength: "malformed-content-length"
    case .repeatedContentLength: "repeated-content-length"
    case .disagreeingContentLength: "disagreeing-content-length"
    case .connectNotEnabled: "connect-not-enabled"
    case .malformedConnect: "malformed-connect"
    case .malformedProtocol: "malformed-protocol"
    case .malformedStatus: "malformed-status"
    case .forbiddenTrailer: "forbidden-trailer"
    case .misplacedEnd: "misplaced-end"
    case .unexpectedBody: "unexpected-body"
    case .headTooLarge: "head-too-large"
    case .tooManyFields: "too-many-fields"
    case .pathTooLong: "target-too-long"
    }
  }
}
