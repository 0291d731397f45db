/// What is spoken inside, as ALPN names it (RFC 7301).
public enum ApplicationProtocol: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  /// `h2` (RFC 9113 section 3.2).
  case http2
  /// `http/1.1`.
  case http1

  /// The name on the wire.
  public var name: StaticString { self == .http2 ? "h2" : "http/1.1" }

  init?(wireName: UnsafeBufferPointer<UInt8>) {
    for candidate in Self.allCases
    where wireName.elementsEqual(
      UnsafeBufferPointer(start: candidate.name.utf8Start, count: candidate.name.utf8CodeUnitCount)
    ) {
      self = candidate
      return
    }
    return nil
  }

  /// The list in its form on the wire: each name behind its length.
  static func wireList(_ protocols: [ApplicationProtocol]) -> [UInt8] {
    protocols.flatMap { item in
      item.name.withUTF8Buffer { [UInt8($0.count)] + Array($0) }
    }
  }
}
