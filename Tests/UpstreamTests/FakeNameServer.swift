import CLinux
import Glibc
import Telemetry
import Units

/// A name server on 127.0.0.1 that says what the test tells it to; one thread, UDP only.
final class FakeNameServer: Sendable {
  /// What it does with a question.
  enum Behaviour: Sendable {
    /// Addresses in text, both families mixed.
    case answer([String], ttl: UInt32)
    /// SRV records: priority, weight, port and target.
    case services([(UInt16, UInt16, UInt16, String)], ttl: UInt32)
    /// NXDOMAIN.
    case unknown
    /// SERVFAIL.
    case broken
    /// These bytes after the question's own id.
    case raw([UInt8])
    /// An answer whose record counts and lengths lie.
    case lying
    case silent
    /// Addresses that are said at `release`, and not before.
    case held([String])
  }

  private struct State {
    var behaviours: [String: Behaviour] = [:]
    var questions: [String: Int] = [:]
    var isEnding = false
    var held: [(reply: [UInt8], peer: sockaddr_storage)] = []
  }

  let port: UInt16
  private let descriptor: Int32
  private let state = Locked(State())
  private let thread = Locked<BackgroundThread?>(nil)

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard descriptor >= 0, isBound else { throw FakeServerError() }
    port = UInt16(bigEndian: address.sin_port)
    thread.withLock { $0 = BackgroundThread(name: "fake-dns") { [self] in serve() } }
  }

  func set(_ name: String, _ behaviour: Behaviour) {
    state.withLock { $0.behaviours[name] = behaviour }
  }

  /// Questions about a name so far, both families together.
  func questions(about name: String) -> Int { state.withLock { $0.questions[name] ?? 0 } }

  func stop() {
    state.withLock { $0.isEnding = true }
    shutdown(descriptor, Int32(SHUT_RDWR))
    thread.withLock { $0 }?.join()
    close(descriptor)
  }

  private func serve() {
    var bytes = [UInt8](repeating: 0, count: 4_096)
    while true {
      var peer = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let isServing = withUnsafeMutablePointer(to: &peer) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> Bool in
          let count = recvfrom(descriptor, &bytes, bytes.count, 0, address, &length)
          if state.withLock({ $0.isEnding }) { return false }
          guard count > 12, let reply = reply(to: Array(bytes[0..<count])) else { return true }
          if isHolding(Array(bytes[0..<count])) {
            let copy = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_storage.self)
            state.withLock { $0.held.append((reply, copy)) }
            return true
          }
          _ = sendto(descriptor, reply, reply.count, 0, address, length)
          return true
        }
      }
      guard isServing else { return }
    }
  }

  /// Sends what was held back.
  func release() {
    let held = state.withLock { state in
      defer { state.held = [] }
      return state.held
    }
    for (reply, peer) in held {
      var peer = peer
      withUnsafePointer(to: &peer) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = sendto(descriptor, reply, reply.count, 0, $0, Self.addressLength)
        }
      }
    }
  }

  private static let addressLength = socklen_t(MemoryLayout<sockaddr_in>.size)

  private func isHolding(_ question: [UInt8]) -> Bool {
    guard case .held = state.withLock({ $0.behaviours[Self.name(question).text] }) else {
      return false
    }
    return true
  }

  private func reply(to question: [UInt8]) -> [UInt8]? {
    let (name, at) = Self.name(question)
    guard at + 4 < question.count else { return nil }
    let isIPv6 = question[at + 2] == 28
    let asked = Array(question[12..<(at + 5)])
    let behaviour = state.withLock { state in
      state.questions[name, default: 0] += 1
      return state.behaviours[name] ?? .unknown
    }
    func head(code: UInt8, answers: Int) -> [UInt8] {
      question[0..<2] + [0x81, 0x80 | code, 0, 1, UInt8(answers >> 8), UInt8(answers & 255)]
        + [0, 0, 0, 0] + asked
    }
    switch behaviour {
    case .silent: return nil
    case .unknown: return head(code: 3, answers: 0)
    case .broken: return head(code: 2, answers: 0)
    case .raw(let bytes): return question[0..<2] + bytes
    case .lying:
      return head(code: 0, answers: 9_000) + [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 255, 255, 1]
    case .held(let texts):
      let records = texts.compactMap { record($0, isIPv6: isIPv6, ttl: 60) }
      return head(code: 0, answers: records.count) + records.joined()
    case .answer(let texts, let ttl):
      let records = texts.compactMap { record($0, isIPv6: isIPv6, ttl: ttl) }
      return head(code: 0, answers: records.count) + records.joined()
    case .services(let services, let ttl):
      let records = question[at + 2] == 33 ? services.map { Self.record($0, ttl: ttl) } : []
      return head(code: 0, answers: records.count) + records.joined()
    }
  }

  /// The name of a question in lower case, and where it ends.
  private static func name(_ question: [UInt8]) -> (text: String, end: Int) {
    var labels: [String] = []
    var at = 12
    while at < question.count, question[at] > 0 {
      let end = min(at + 1 + Int(question[at]), question.count)
      labels.append(String(decoding: question[(at + 1)..<end], as: UTF8.self))
      at = end
    }
    return (labels.joined(separator: ".").lowercased(), at)
  }

  private static func record(
    _ service: (UInt16, UInt16, UInt16, String),
    ttl: UInt32
  ) -> [UInt8] {
    let numbers = [service.0, service.1, service.2].flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    let labels = service.3.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
    let data = numbers + labels + [0]
    let time = (0..<4).map { UInt8(truncatingIfNeeded: ttl >> (24 - 8 * UInt32($0))) }
    return [0xC0, 12, 0, 33, 0, 1] + time + [0, UInt8(data.count)] + data
  }

  private func record(_ text: String, isIPv6: Bool, ttl: UInt32) -> [UInt8]? {
    guard text.contains(":") == isIPv6 else { return nil }
    var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
    guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, &bytes) == 1 else { return nil }
    let time = (0..<4).map { UInt8(truncatingIfNeeded: ttl >> (24 - 8 * UInt32($0))) }
    return [0xC0, 12, 0, isIPv6 ? 28 : 1, 0, 1] + time + [0, UInt8(bytes.count)] + bytes
  }
}

struct FakeServerError: Error {}
