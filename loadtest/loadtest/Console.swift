internal import Glibc

/// What all commands say to the user, and ask of the process.
enum Console {
  /// Something that cannot be done as asked.
  static let usage: Int32 = 2

  static func say(_ text: String) {
    put(text + "\n", to: STDOUT_FILENO)
  }

  /// Says why on standard error and ends the process.
  static func fail(_ text: String) -> Never {
    put(text, to: STDERR_FILENO)
    exit(usage)
  }

  /// Writes all of it; a reader that is gone is none of our concern.
  static func put(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  /// Each connection is a descriptor.
  static func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
