/// A version of TLS that we speak.
public enum TLSVersion: UInt8, Comparable, CaseIterable, Sendable, BitwiseCopyable {
  /// RFC 5246.
  case tls12
  /// RFC 8446.
  case tls13

  /// `TLSv1.2` or `TLSv1.3`, as logs of other servers have it.
  public var name: StaticString { self == .tls12 ? "TLSv1.2" : "TLSv1.3" }

  /// Its number on the wire.
  var wireNumber: Int32 { self == .tls12 ? 0x0303 : 0x0304 }

  public static func < (a: TLSVersion, b: TLSVersion) -> Bool { a.rawValue < b.rawValue }
}
