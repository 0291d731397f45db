/// Why a message was refused.
///
/// Every case is a reason for metrics and for the refusal's body.
public enum ParseFault: UInt8, CaseIterable, Equatable, Sendable, BitwiseCopyable {
  /// A line feed without a carriage return before it.
  case bareLineFeed
  /// A carriage return without a line feed behind it.
  case bareCarriageReturn
  /// The method is empty or not a token.
  case malformedMethod
  /// The method is longer than any method in use.
  case methodTooLong
  /// The target is empty, holds a forbidden byte, or has a form its method does not allow.
  case malformedTarget
  /// The target is over its bound.
  case targetTooLong
  /// Not `HTTP/1.0` or `HTTP/1.1` to the letter; HTTP/0.9 as well.
  case malformedVersion
  /// A well-formed version with another major number.
  case unsupportedVersion
  /// A field name that is empty or not a token, or a line without colon.
  case malformedFieldName
  /// Whitespace between a field name and its colon.
  case spaceBeforeColon
  /// A field line that starts with whitespace.
  case obsoleteFolding
  /// A control character in a field value or a reason phrase.
  case malformedFieldValue
  /// More field lines than the bound.
  case tooManyFields
  /// A head, or trailer section, over its bound in bytes.
  case headTooLarge
  /// HTTP/1.1 without Host.
  case missingHost
  /// More than one Host.
  case repeatedHost
  /// A Host, or an authority in the target, that names no host or has a bad port.
  case malformedHost
  /// The target's authority and Host differ.
  case disagreeingHost
  /// Content-Length that is not one number within 63 bits.
  case malformedContentLength
  /// More than one Content-Length, equal or not.
  case repeatedContentLength
  /// Both Content-Length and Transfer-Encoding.
  case conflictingFraming
  /// Transfer-Encoding that is no list of codings, or has `chunked` other than once at the end.
  case malformedTransferEncoding
  /// More than one Transfer-Encoding.
  case repeatedTransferEncoding
  /// A transfer coding other than `chunked`.
  case unknownTransferEncoding
  /// Transfer-Encoding in HTTP/1.0, which has none.
  case transferEncodingInHTTP10
  /// Connection that is no list of tokens, or names Host or a framing field in a request.
  case malformedConnection
  /// Connection that names more fields than anybody means.
  case tooManyConnectionOptions
  /// A status line other than version, three digits in `100...599` and a reason phrase.
  case malformedStatusLine
  /// A chunk size that is not 1 to 16 hexadecimal digits within 63 bits.
  case malformedChunkSize
  /// A chunk extension with a forbidden byte.
  case malformedChunkExtension
  /// Chunk extensions over their bound.
  case chunkExtensionTooLong
  /// Chunk data that is not followed by CRLF.
  case malformedChunkEnd
  /// A trailer field that would change framing, routing or the connection.
  case forbiddenTrailer

  /// The status to answer a client with: 400, 414, 431, 501 or 505.
  ///
  /// A refused response is the upstream's fault; its caller answers 502 whatever this says.
  public var status: Int {
    switch self {
    case .targetTooLong: 414
    case .tooManyFields, .headTooLarge: 431
    case .methodTooLong, .unknownTransferEncoding: 501
    case .unsupportedVersion: 505
    default: 400
    }
  }

  /// A name for metrics and problem documents, in kebab case.
  public var reason: StaticString {
    switch self {
    case .bareLineFeed: "bare-line-feed"
    case .bareCarriageReturn: "bare-carriage-return"
    case .malformedMethod: "malformed-method"
    case .methodTooLong: "method-too-long"
    case .malformedTarget: "malformed-target"
    case .targetTooLong: "target-too-long"
    case .malformedVersion: "malformed-version"
    case .unsupportedVersion: "unsupported-version"
    case .malformedFieldName: "malformed-field-name"
    case .spaceBeforeColon: "space-before-colon"
    case .obsoleteFolding: "obsolete-folding"
    case .malformedFieldValue: "malformed-field-value"
    case .tooManyFields: "too-many-fields"
    case .headTooLarge: "head-too-large"
    case .missingHost: "missing-host"
    case .repeatedHost: "repeated-host"
    case .malformedHost: "malformed-host"
    case .disagreeingHost: "disagreeing-host"
    case .malformedContentLength: "malformed-content-length"
    case .repeatedContentLength: "repeated-content-length"
    case .conflictingFraming: "conflicting-framing"
    case .malformedTransferEncoding: "malformed-transfer-encoding"
    case .repeatedTransferEncoding: "repeated-transfer-encoding"
    case .unknownTransferEncoding: "unknown-transfer-encoding"
    case .transferEncodingInHTTP10: "transfer-encoding-in-http10"
    case .malformedConnection: "malformed-connection"
    case .tooManyConnectionOptions: "too-many-connection-options"
    case .malformedStatusLine: "malformed-status-line"
    case .malformedChunkSize: "malformed-chunk-size"
    case .malformedChunkExtension: "malformed-chunk-extension"
    case .chunkExtensionTooLong: "chunk-extension-too-long"
    case .malformedChunkEnd: "malformed-chunk-end"
    case .forbiddenTrailer: "forbidden-trailer"
    }
  }
}
