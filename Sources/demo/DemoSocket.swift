import Glibc

/// One blocking connection with a read buffer.
///
/// The buffer is raw memory, searched and moved by the C library, so that a debug build is fast too.
struct DemoSocket {
  private let descriptor: Int32
  private let buffer: UnsafeMutablePointer<UInt8>
  /// The unread bytes are `buffer[start..<end]`.
  private var start = 0
  private var end = 0

  /// Also the longest line read: a request line or one header field.
  private static let bufferBytes = 64 * 1024

  /// Takes ownership of a connected socket.
  init(descriptor: Int32) {
    self.descriptor = descriptor
    buffer = .allocate(capacity: Self.bufferBytes)
  }

  static func enable(_ option: Int32, level: Int32, of descriptor: Int32) {
    var one: Int32 = 1
    setsockopt(descriptor, level, option, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Whether the client has already sent more than was read.
  var hasUnread: Bool { start < end }

  /// The next line without its line end; `nil` at the end of the stream or when it is too long.
  mutating func readLine() -> [UInt8]? {
    while true {
      if let newline = memchr(buffer + start, Int32(UInt8(ascii: "\n")), end - start) {
        let length = newline - UnsafeMutableRawPointer(buffer + start)
        var line = Array(UnsafeBufferPointer(start: buffer + start, count: length))
        start += length + 1
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
      }
      guard fill() else { return nil }
    }
  }

  /// Reads and drops a number of bytes; false when the stream ended before.
  mutating func skip(_ count: Int) -> Bool {
    var left = count
    while true {
      let step = min(left, end - start)
      start += step
      left -= step
      if left == 0 { return true }
      guard fill() else { return false }
    }
  }

  /// Writes everything; false when the client is gone.
  func send(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { whole in
      var rest = whole[...]
      while !rest.isEmpty {
        let part = UnsafeRawBufferPointer(rebasing: rest)
        let sent = Glibc.send(
          descriptor,
          part.baseAddress,
          part.count,
          Int32(MSG_NOSIGNAL)
        )
        if sent < 0 && errno == EINTR { continue }
        guard sent > 0 else { return false }
        rest = rest.dropFirst(sent)
      }
      return true
    }
  }

  /// Closes the connection and frees the buffer; the last call on this value.
  func finish() {
    close(descriptor)
    buffer.deallocate()
  }

  private mutating func fill() -> Bool {
    memmove(buffer, buffer + start, end - start)
    end -= start
    start = 0
    // A full buffer asks for nothing and gets nothing, like the end of the stream.
    var count = 0
    repeat {
      count = recv(descriptor, buffer + end, Self.bufferBytes - end, 0)
    } while count < 0 && errno == EINTR
    end += max(count, 0)
    return count > 0
  }
}
