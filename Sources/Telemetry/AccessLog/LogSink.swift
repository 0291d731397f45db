import Glibc

/// An open output of the access log; used by the writer's thread alone once it was handed over.
///
/// A write waits for a bounded time only: a reader of our stdout that stops reading costs log
/// lines, not a writer that never ends. Lines that could not be written are counted by the caller.
public final class LogSink: @unchecked Sendable {
  // Unchecked: it is made by one thread and handed to the one that uses it.
  /// Longest wait for an output that takes nothing; short enough for a stop to be prompt.
  static let patience: Int32 = 250
  /// What a pipe that polls as writable takes without blocking (PIPE_BUF).
  private static let pipeChunk = 4_096

  private let output: AccessLogOutput
  private var descriptor: Int32 = -1
  private var mode = Mode.regular
  /// A line was cut: the next write begins with a newline.
  private var isCut = false
  private let syslogPrefix: [UInt8]

  private enum Mode {
    case regular
    case pipe
    case stream
    case datagram
  }

  /// Opens the output; throws when a file or socket cannot be opened now.
  public init(_ output: AccessLogOutput) throws(TelemetryError) {
    self.output = output
    var host = [CChar](repeating: 0, count: 256)
    gethostname(&host, 255)
    let end = host.firstIndex(of: 0) ?? 0
    let name = String(decoding: host[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    syslogPrefix = Array(" \(name.isEmpty ? "-" : name) spillway \(getpid()) access - ".utf8)
    try open()
  }

  /// Whether lines are forgotten.
  var isOff: Bool { output == .off }

  deinit { if descriptor > 2 { close(descriptor) } }

  /// Opens the file or socket again and keeps the one at hand when that fails.
  func open() throws(TelemetryError) {
    switch output {
    case .off: break
    case .stdout:
      descriptor = STDOUT_FILENO
      mode = Self.mode(of: STDOUT_FILENO)
    case .file(let path):
      // O_NONBLOCK: opening or writing a named pipe without a reader must not block.
      let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK
      let file = Glibc.open(path, flags, 0o640)
      guard file >= 0 else { throw Self.fault(path) }
      if descriptor > 2 { close(descriptor) }
      descriptor = file
      mode = Self.mode(of: file)
      isCut = false
    case .syslog(let path):
      let socket = try Self.connect(path)
      if descriptor > 2 { close(descriptor) }
      descriptor = socket
      mode = .datagram
    }
  }

  /// Writes whole lines.
  ///
  /// - Returns: How many lines were written.
  func write(_ lines: [UInt8]) -> Int {
    if case .off = output { return 0 }
    return mode == .datagram ? sendMessages(lines) : writeStream(lines)
  }

  private func writeStream(_ lines: [UInt8]) -> Int {
    if isCut {
      guard writeSome(Array("\n".utf8), from: 0) == 1 else { return 0 }
      isCut = false
    }
    var written = 0
    while written < lines.count {
      let count = writeSome(lines, from: written)
      guard count > 0 else { break }
      written += count
    }
    isCut = written > 0 && lines[written - 1] != UInt8(ascii: "\n")
    return lines[..<written].count { $0 == UInt8(ascii: "\n") }
  }

  /// One write that does not block for longer than `patience`; 0 on failure.
  private func writeSome(_ bytes: [UInt8], from start: Int) -> Int {
    while true {
      var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      if mode != .regular, poll(&entry, 1, Self.patience) == 0 { return 0 }
      let room = bytes.count - start
      let count = bytes.withUnsafeBytes { source -> Int in
        let from = source.baseAddress.map { $0 + start }
        return switch mode {
        case .regular: Glibc.write(descriptor, from, room)
        case .pipe: Glibc.write(descriptor, from, min(room, Self.pipeChunk))
        case .stream, .datagram:
          send(descriptor, from, room, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
        }
      }
      if count >= 0 { return count }
      if errno != EINTR { return 0 }
    }
  }

  /// Sends each line as one message; reconnects once when the daemon was restarted.
  private func sendMessages(_ lines: [UInt8]) -> Int {
    var sent = 0
    var mayReconnect = true
    var start = 0
    while start < lines.count {
      let end = lines[start...].firstIndex(of: UInt8(ascii: "\n")) ?? lines.count
      // Facility local0, severity informational; the record's own time stands in the line.
      var message = Array("<134>1 ".utf8)
      message += Timestamp.bytes(Self.wallClock(), true)
      message += syslogPrefix
      message += lines[start..<end]
      start = end + 1
      if writeSome(message, from: 0) == message.count {
        sent += 1
        continue
      }
      let wasRefused = errno != EAGAIN && errno != EMSGSIZE
      guard wasRefused, mayReconnect else { break }
      mayReconnect = false
      guard (try? open()) != nil else { break }
      if writeSome(message, from: 0) == message.count { sent += 1 }
    }
    return sent
  }

  private static func mode(of descriptor: Int32) -> Mode {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return .pipe }
    return switch status.st_mode & S_IFMT {
    case S_IFREG: .regular
    case S_IFSOCK: .stream
    default: .pipe
    }
  }

  private static func connect(_ path: String) throws(TelemetryError) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw TelemetryError(.cannotOpen, "\(path): too long for a socket")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = socket(AF_UNIX, type, 0)
    guard descriptor >= 0 else { throw fault(path) }
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard code == 0 else {
      let error = fault(path)
      close(descriptor)
      throw error
    }
    return descriptor
  }

  private static func fault(_ path: String) -> TelemetryError {
    TelemetryError(.cannotOpen, "\(path): \(String(cString: strerror(errno)))")
  }

  private static func wallClock() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
