internal import CLinux
internal import Glibc
internal import Reactor

/// One request on a socket that waits, for what is not part of the load.
public enum ControlCall {
  /// Bytes of an answer that are read.
  private static let maximumAnswer = 1 << 20
  /// Seconds that connecting, writing and each read may take.
  private static let patience = 5

  /// - Parameters:
  ///   - method: GET or POST.
  ///   - path: Begins with a slash.
  ///   - target: The control API.
  /// - Returns: The body of a 200.
  /// - Throws: What went wrong, for a user.
  public static func send(
    _ method: String,
    _ path: String,
    to target: Target
  ) throws(EngineError) -> String {
    let descriptor = socket(target.address.family, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw failure(target, path) }
    defer { close(descriptor) }
    var limit = timeval(tv_sec: patience, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    var storage = target.address.storage
    let isConnected = withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        // Linux goes on with a connect that was interrupted when it is asked again.
        repeated { Int(connect(descriptor, address, target.address.length)) } == 0
      }
    }
    guard isConnected else { throw failure(target, path) }
    let request = Array(
      ("\(method) \(path) HTTP/1.1\r\nhost: \(target.authority)\r\nconnection: close\r\n"
        + "content-length: 0\r\n\r\n").utf8
    )
    let sent = repeated {
      Glibc.send(descriptor, request, request.count, Int32(MSG_NOSIGNAL))
    }
    guard sent == request.count else { throw failure(target, path) }
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while answer.count < maximumAnswer {
      let count = repeated { recv(descriptor, &buffer, buffer.count, 0) }
      guard count >= 0 else { throw failure(target, path) }
      if count == 0 { break }
      answer += buffer[..<count]
    }
    let text = String(decoding: answer, as: UTF8.self)
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
    guard text.hasPrefix("HTTP/1.1 200"), parts.count == 2 else {
      let line = text.prefix { $0 != "\r\n" }
      throw EngineError("the backend at \(target.authority) answered \(path) with: \(line)")
    }
    return String(parts[1])
  }

  /// Makes a call again that was interrupted: the work of a ring on the same thread does that.
  private static func repeated(_ call: () -> Int) -> Int {
    while true {
      let outcome = call()
      if outcome >= 0 || errno != EINTR { return outcome }
    }
  }

  private static func failure(_ target: Target, _ path: String) -> EngineError {
    EngineError(
      "the backend at \(target.authority) does not answer \(path): \(String(cString: strerror(errno)))"
    )
  }
}
