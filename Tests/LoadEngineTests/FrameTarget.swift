import CLinux
import Foundation
import Glibc
import Reactor
import Testing

/// A target that speaks frames of HTTP/2 by hand, and as badly as it is told.
final class FrameTarget: @unchecked Sendable {
  // Safe to share: what changes belongs to the thread that serves, but for `peers`, which is locked.

  /// What becomes of each request.
  enum Manner: Sendable {
    /// A head with fields, a body of so many bytes, trailers.
    case answer(status: String, fields: [String: String], body: Int, trailers: [String: String])
    case reset(UInt32)
    /// GOAWAY that says nothing was processed, and no more than that.
    case goAway
    /// Reads, acknowledges, and never answers.
    case silence
    /// Reads nothing at all.
    case deafness
    /// A body that never ends, as fast as windows allow.
    case endless
    /// Interim heads without end.
    case interims
    /// Bytes that are no frame.
    case garbage
    /// A frame on a stream that nobody opened.
    case strangeStream
    /// GOAWAY behind the answer.
    case leave
    /// Half a frame, then nothing.
    case halfFrame
    /// PING without end, whether answers are read or not.
    case pings
    case close
  }

  let port: UInt16
  private let descriptor: Int32
  private let manner: Manner
  private let ended = DispatchSemaphore(value: 0)
  private let peers = NSLock()
  private var running: Set<Int32> = []
  private var isStopped = false
  private let threads = DispatchGroup()

  init(_ manner: Manner) throws {
    self.manner = manner
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let address = try #require(KernelAddress(ip: "127.0.0.1", port: 0))
    var storage = address.storage
    let code = withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, address.length) }
    }
    #expect(code == 0 && listen(descriptor, 128) == 0)
    self.descriptor = descriptor
    port = try #require(KernelAddress(localOf: descriptor)).port
    Thread.detachNewThread { [self] in
      while true {
        let client = accept(descriptor, nil, nil)
        guard client >= 0 else { break }
        guard keep(client) else {
          close(client)
          break
        }
        threads.enter()
        Thread.detachNewThread { [self] in
          serve(client)
          drop(client)
          threads.leave()
        }
      }
      ended.signal()
    }
  }

  private func keep(_ client: Int32) -> Bool {
    peers.lock()
    defer { peers.unlock() }
    guard !isStopped else { return false }
    running.insert(client)
    return true
  }

  private func drop(_ client: Int32) {
    peers.lock()
    running.remove(client)
    close(client)
    peers.unlock()
  }

  func stop() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    peers.lock()
    isStopped = true
    for client in running { shutdown(client, Int32(SHUT_RDWR)) }
    peers.unlock()
    ended.wait()
    threads.wait()
    close(descriptor)
  }

  // MARK: - Frames

  private static func frame(
    _ type: UInt8,
    _ flags: UInt8,
    _ stream: UInt32,
    _ payload: [UInt8]
  ) -> [UInt8] {
    let length = number(UInt32(payload.count)).dropFirst()
    return Array(length) + [type, flags] + number(stream) + payload
  }

  private static func number(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  /// A field section without indexing or Huffman (RFC 7541 section 6.2.2).
  private static func section(_ fields: [(String, String)]) -> [UInt8] {
    var bytes: [UInt8] = []
    for (name, value) in fields {
      bytes += [0, UInt8(name.utf8.count)]
      bytes += Array(name.utf8)
      bytes.append(UInt8(value.utf8.count))
      bytes += Array(value.utf8)
    }
    return bytes
  }

  private static func section(_ fields: [String: String]) -> [UInt8] {
    section(fields.map { ($0.key, $0.value) })
  }

  private func serve(_ client: Int32) {
    guard send(client, Self.frame(4, 0, 0, [])) else { return }
    if case .deafness = manner {
      // POLLRDHUP: until the other side, or the test, ends it. No byte is read.
      var poll = pollfd(fd: client, events: 0x2000, revents: 0)
      _ = Glibc.poll(&poll, 1, -1)
      return
    }
    var input: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    var needed = 24
    var isGreeted = false
    var window = 65_535
    var streamWindow = 65_535
    var endless: UInt32 = 0
    while true {
      while input.count < needed {
        let count = recv(client, &buffer, buffer.count, 0)
        guard count > 0 else { return }
        input += buffer[..<count]
      }
      guard isGreeted else {
        input.removeFirst(24)
        isGreeted = true
        needed = 9
        continue
      }
      let length = Int(input[0]) << 16 | Int(input[1]) << 8 | Int(input[2])
      guard input.count >= 9 + length else {
        needed = 9 + length
        continue
      }
      needed = 9
      let type = input[3]
      let flags = input[4]
      let stream = Self.word(input, at: 5) & 0x7FFF_FFFF
      let payload = Array(input[9..<9 + length])
      input.removeFirst(9 + length)
      switch type {
      case 1: guard answer(client, stream) else { return }
      case 4 where flags & 1 == 0:
        for at in stride(from: 0, to: payload.count - 5, by: 6) where payload[at + 1] == 4 {
          streamWindow += Int(Self.word(payload, at: at + 2)) - 65_535
        }
        guard send(client, Self.frame(4, 1, 0, [])) else { return }
      case 8:
        let step = Int(Self.word(payload, at: 0))
        if stream == 0 { window += step }
        if stream == endless { streamWindow += step }
      default: break
      }
      guard case .endless = manner else { continue }
      if type == 1 { endless = stream }
      while endless > 0, window >= 8_192, streamWindow >= 8_192 {
        window -= 8_192
        streamWindow -= 8_192
        let body = [UInt8](repeating: 0x78, count: 8_192)
        guard send(client, Self.frame(0, 0, endless, body)) else { return }
      }
    }
  }

  private static func word(_ bytes: [UInt8], at place: Int) -> UInt32 {
    guard bytes.count >= place + 4 else { return 0 }
    return bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Returns: Whether the connection goes on.
  private func answer(_ client: Int32, _ stream: UInt32) -> Bool {
    let fine = Self.frame(1, 4, stream, [0x88])
    switch manner {
    case .answer(let status, let fields, let body, let trailers):
      let hasMore = body > 0 || !trailers.isEmpty
      var bytes = Self.frame(
        1,
        hasMore ? 4 : 5,
        stream,
        Self.section([(":status", status)]) + Self.section(fields)
      )
      if body > 0 {
        let text = [UInt8](repeating: 0x78, count: body)
        bytes += Self.frame(0, trailers.isEmpty ? 1 : 0, stream, text)
      }
      if !trailers.isEmpty { bytes += Self.frame(1, 5, stream, Self.section(trailers)) }
      return send(client, bytes)
    case .reset(let code): return send(client, Self.frame(3, 0, stream, Self.number(code)))
    case .goAway:
      return send(client, Self.frame(7, 0, 0, Self.number(0) + Self.number(0)))
    case .leave:
      let goAway = Self.frame(7, 0, 0, Self.number(stream) + Self.number(0))
      return send(client, Self.frame(1, 5, stream, [0x88]) + goAway)
    case .silence, .deafness: return true
    case .endless: return send(client, fine)
    case .interims:
      let interim = Self.frame(1, 4, stream, Self.section([(":status", "103")]))
      return send(client, Array(repeating: interim, count: 40).flatMap { $0 })
    case .garbage: return send(client, Array(repeating: 0xFF, count: 64))
    case .strangeStream: return send(client, Self.frame(1, 5, stream &+ 100, [0x88]))
    case .halfFrame: return send(client, fine.dropLast())
    case .pings:
      let ping = Self.frame(6, 0, 0, [UInt8](repeating: 1, count: 8))
      let many = Array(repeating: ping, count: 1_000).flatMap { $0 }
      while send(client, many) {}
      return false
    case .close: return false
    }
  }

  private func send(_ client: Int32, _ bytes: some Sequence<UInt8>) -> Bool {
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}
