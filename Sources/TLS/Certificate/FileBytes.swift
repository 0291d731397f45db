internal import COpenSSL
internal import Glibc

/// A file's content, read once, so that what is judged, used and compared later is the same.
struct FileBytes: Sendable {
  /// The system's own bundle of authorities has about 220 KiB.
  static let maximumBytes = 4 << 20

  let path: String
  private(set) var bytes: [UInt8]

  init(_ path: String) throws(TLSLoadError) {
    self.path = path
    bytes = []
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.unreadable(path) }
    defer { close(descriptor) }
    var block = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Self.unreadable(path) }
      if count == 0 { break }
      bytes.append(contentsOf: block[..<count])
      guard bytes.count <= Self.maximumBytes else {
        throw TLSLoadError(path, .tooLarge(Self.maximumBytes))
      }
    }
    // Earlier and shorter copies made while growing are gone; a key must not stay in this one.
    OPENSSL_cleanse(&block, block.count)
  }

  /// Overwrites the bytes, for a file with a key.
  mutating func erase() { OPENSSL_cleanse(&bytes, bytes.count) }

  /// SHA-256 of the content.
  var digest: [UInt8] { Self.digest(of: bytes) }

  static func digest(of bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    guard copenssl_digest(bytes, bytes.count, &digest) == 1 else { return [] }
    return digest
  }

  /// Lends the content to a reader of PEM blocks.
  func withReader<T>(_ body: (OpaquePointer) throws(TLSLoadError) -> T) throws(TLSLoadError) -> T {
    guard let bio = bytes.withUnsafeBytes({ BIO_new_mem_buf($0.baseAddress, Int32($0.count)) })
    else { throw TLSLoadError(path, .library("out of memory")) }
    defer {
      BIO_free(bio)
      copenssl_clear_errors()
    }
    return try body(bio)
  }

  private static func unreadable(_ path: String) -> TLSLoadError {
    TLSLoadError(path, .unreadable(String(cString: strerror(errno))))
  }
}
