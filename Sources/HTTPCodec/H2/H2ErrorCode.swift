/// Why a stream or a connection ended, as it goes over the wire (RFC 9113 section 7).
public struct H2ErrorCode: RawRepresentable, Equatable, Sendable, BitwiseCopyable {
  /// The code; peers may send any number.
  public var rawValue: UInt32

  @inlinable
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let noError = H2ErrorCode(rawValue: 0x0)
  public static let protocolError = H2ErrorCode(rawValue: 0x1)
  public static let internalError = H2ErrorCode(rawValue: 0x2)
  public static let flowControlError = H2ErrorCode(rawValue: 0x3)
  public static let settingsTimeout = H2ErrorCode(rawValue: 0x4)
  public static let streamClosed = H2ErrorCode(rawValue: 0x5)
  public static let frameSizeError = H2ErrorCode(rawValue: 0x6)
  /// The stream was not processed at all: the request may be sent again elsewhere.
  public static let refusedStream = H2ErrorCode(rawValue: 0x7)
  public static let cancel = H2ErrorCode(rawValue: 0x8)
  public static let compressionError = H2ErrorCode(rawValue: 0x9)
  public static let connectError = H2ErrorCode(rawValue: 0xA)
  public static let enhanceYourCalm = H2ErrorCode(rawValue: 0xB)
  public static let inadequateSecurity = H2ErrorCode(rawValue: 0xC)
  public static let http11Required = H2ErrorCode(rawValue: 0xD)
}
