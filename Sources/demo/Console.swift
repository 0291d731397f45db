import Glibc

/// Standard error without the C library's `stderr`, which is a mutable global.
enum Console {
  static func complain(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
