internal import COpenSSL

/// A key that seals session tickets: a public name, a key for AES-256 and one for HMAC-SHA-256
/// (RFC 5077 section 4).
public struct TicketKey: Sendable {
  /// Bytes of a key: name, cipher key and MAC key.
  public static let byteCount = 16 + 32 + 32

  private var storage: [UInt8]

  /// - Parameter bytes: 80 secret random bytes, for processes or machines that resume each other's
  ///   sessions; `nil` is returned for any other number.
  public init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    storage = bytes
  }

  /// A new random key, `nil` when the system gives no randomness.
  public static func random() -> TicketKey? {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    guard RAND_priv_bytes(&bytes, Int32(byteCount)) == 1 else { return nil }
    return TicketKey(bytes: bytes)
  }

  /// The key's 80 bytes, secret.
  public var bytes: [UInt8] { storage }

  func hasName(_ name: UnsafePointer<UInt8>) -> Bool {
    storage.withUnsafeBufferPointer { own in (0..<16).allSatisfy { own[$0] == name[$0] } }
  }

  func copyName(to name: UnsafeMutablePointer<UInt8>) {
    for index in 0..<16 { name[index] = storage[index] }
  }

  /// Lends the cipher key and the MAC key.
  func withKeys<T>(
    _ body: (_ cipher: UnsafePointer<UInt8>, _ mac: UnsafeMutablePointer<UInt8>) -> T
  ) -> T? {
    storage.withUnsafeBufferPointer { own in
      guard let start = own.baseAddress else { return nil }
      // The MAC's parameter is declared without const and only read.
      return body(start + 16, UnsafeMutablePointer(mutating: start + 48))
    }
  }
}
