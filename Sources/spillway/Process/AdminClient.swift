internal import CLinux
internal import Glibc
internal import Reactor

/// One question to the admin server of a running edge.
enum AdminClient {
  struct Failure: Error {
    let reason: String
  }

  /// Longest answer that is taken: thousands of services fit.
  private static let maximumBytes = 16 << 20
  private static let patienceSeconds = 10

  /// The body of the answer to a GET.
  ///
  /// - Parameters:
  ///   - path: With the query, if there is one.
  ///   - host: An IP address.
  ///   - port: Where the admin server listens.
  /// - Returns: The body as text.
  /// - Throws: `Failure` when nobody answers in time, or with anything but 200.
  static func get(_ path: String, host: String, port: UInt16) throws(Failure) -> String {
    guard let address = KernelAddress(ip: host, port: port) else {
      throw Failure(reason: "no IP address")
    }
    var storage = address.storage
    let descriptor = socket(Int32(storage.ss_family), Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure(reason: error()) }
    defer { close(descriptor) }
    var patience = timeval(tv_sec: patienceSeconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
    let result = withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, address.length)
      }
    }
    guard result == 0 else { throw Failure(reason: error()) }
    try send("GET \(path) HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n", to: descriptor)
    return try body(of: try receive(from: descriptor))
  }

  private static func send(_ text: String, to descriptor: Int32) throws(Failure) {
    var left = Array(text.utf8)[...]
    while !left.isEmpty {
      let count = left.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure(reason: error()) }
      left = left.dropFirst(count)
    }
  }

  private static func receive(from descriptor: Int32) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < maximumBytes {
      let count = part.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
      guard count >= 0 else { throw Failure(reason: error()) }
      if count == 0 { return bytes }
      bytes += part[..<count]
    }
    throw Failure(reason: "the answer is too long")
  }

  private static func body(of answer: [UInt8]) throws(Failure) -> String {
    let text = String(decoding: answer, as: UTF8.self)
    // "\r\n" is one character of a Swift string.
    guard
      let end = text.utf8.indices.first(where: { text.utf8[$0...].starts(with: [13, 10, 13, 10]) })
    else { throw Failure(reason: "no HTTP") }
    guard text.hasPrefix("HTTP/1.1 200 ") else {
      throw Failure(reason: String(text.prefix { !$0.isNewline }))
    }
    return String(decoding: text.utf8[end...].dropFirst(4), as: UTF8.self)
  }

  private static func error() -> String { String(cString: strerror(errno)) }
}
