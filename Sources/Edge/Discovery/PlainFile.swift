internal import Glibc
internal import Upstream

/// Reads a file that somebody else writes.
///
/// It is whatever lies at a path, so it is opened without waiting, must be a plain one, and no more of it
/// is read than may be of use.
enum PlainFile {
  /// What is wrong with a file, in words that begin with its path.
  struct Fault: Error {
    var failure: DiscoveryFailure
    var words: String
  }

  /// The whole file; links are followed.
  static func read(_ path: String, maximumBytes: Int) throws(Fault) -> [UInt8] {
    // A pipe that nobody writes to would hold the thread for ever.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw unreadable(path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw Fault(failure: .unavailable, words: "\(path): is no plain file")
    }
    let tooLarge = Fault(
      failure: .invalid,
      words: "\(path): has more than \(maximumBytes) bytes"
    )
    // Asked before the first byte is read: a file can be larger than memory.
    guard status.st_size <= maximumBytes else { throw tooLarge }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    // One byte beyond the bound is enough to know that it has grown meanwhile.
    while bytes.count <= maximumBytes {
      let count = Glibc.read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw unreadable(path) }
      if count == 0 { return bytes }
      bytes += block[..<count]
    }
    throw tooLarge
  }

  private static func unreadable(_ path: String) -> Fault {
    Fault(
      failure: .unavailable,
      words: "\(path): cannot be read: \(String(cString: strerror(errno)))"
    )
  }
}
