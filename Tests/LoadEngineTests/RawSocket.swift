import CLinux
import Glibc
import Reactor

/// A blocking client socket for tests that speak raw bytes.
final class RawSocket {
  private let descriptor: Int32

  /// Connects to a port of this machine, or is nil when that is refused.
  init?(port: UInt16) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0, let address = KernelAddress(ip: "127.0.0.1", port: port) else {
      return nil
    }
    var storage = address.storage
    let result = withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, address.length)
      }
    }
    // No answer within half a minute is a failure, even on a machine that is slow.
    var patience = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(
      descriptor,
      SOL_SOCKET,
      SO_RCVTIMEO,
      &patience,
      socklen_t(MemoryLayout<timeval>.size)
    )
    // `deinit` closes the descriptor in this case too.
    guard result == 0 else { return nil }
  }

  deinit { Glibc.close(descriptor) }

  func send(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  /// A ring that lived on this thread may still interrupt its calls.
  private func receive(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
    while true {
      let result = recv(descriptor, bytes, count, 0)
      if result >= 0 || errno != EINTR { return result }
    }
  }

  /// Bytes up to and with the text, or what came before the end.
  func read(through end: String) -> String {
    var text = ""
    var byte: UInt8 = 0
    while !text.hasSuffix(end), receive(&byte, 1) == 1 {
      text.unicodeScalars.append(Unicode.Scalar(byte))
    }
    return text
  }

  /// Everything up to the end, or to a reset.
  func readAll() -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = receive(&buffer, buffer.count)
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// One request on a connection of its own; nil when that is refused.
  static func request(_ line: String, port: UInt16) -> String? {
    guard let socket = RawSocket(port: port) else { return nil }
    socket.send("\(line) HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
    return socket.readAll()
  }
}
