import CLinux
import Foundation
import Glibc
import Reactor
import TLS
import Testing
import Units

/// Speaks TLS for a target that listens in clear; a thread for each connection.
final class SecureFront: @unchecked Sendable {
  // Safe to share: what changes is locked.

  let port: UInt16
  /// A PEM file with the certificate, which is its own authority.
  let authorities: String
  private let descriptor: Int32
  private let target: UInt16
  private let context: TLSServerContext
  private let cutsAtEnd: Bool
  private let folder: String
  private let running = Locked<(sockets: Set<Int32>, isStopped: Bool)>(([], false))
  private let threads = DispatchGroup()

  /// `cutsAtEnd`: Ends without close_notify.
  init(
    before target: UInt16,
    protocols: [ApplicationProtocol] = [.http2, .http1],
    name: String = "IP:127.0.0.1",
    cutsAtEnd: Bool = false
  ) throws {
    self.target = target
    self.cutsAtEnd = cutsAtEnd
    folder = NSTemporaryDirectory() + "spillway-load-tls-\(getpid())-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    authorities = folder + "/certificate.pem"
    let openssl = Process()
    openssl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    openssl.arguments =
      [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "30", "-subj", "/CN=loadtest", "-addext", "subjectAltName=\(name)",
      ] + ["-keyout", folder + "/key.pem", "-out", authorities]
    openssl.standardError = FileHandle.nullDevice
    try openssl.run()
    openssl.waitUntilExit()
    try #require(openssl.terminationStatus == 0)
    var settings = TLSServerSettings(
      certificates: [CertificateFiles(certificate: authorities, key: folder + "/key.pem")]
    )
    settings.applicationProtocols = protocols
    context = try TLSServerContext(settings, tickets: TicketKeys(at: Instant(0)))
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let code = try Self.withLoopback(0) { bind(descriptor, $0, $1) }
    #expect(code == 0 && listen(descriptor, 128) == 0)
    self.descriptor = descriptor
    port = try #require(KernelAddress(localOf: descriptor)).port
    threads.enter()
    Thread.detachNewThread { [self] in
      run()
      threads.leave()
    }
  }

  func stop() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    running.withLock { state in
      state.isStopped = true
      for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
    }
    threads.wait()
    close(descriptor)
    try? FileManager.default.removeItem(atPath: folder)
  }

  private static func withLoopback(
    _ port: UInt16,
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) throws -> Int32 {
    let address = try #require(KernelAddress(ip: "127.0.0.1", port: port))
    var storage = address.storage
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, address.length) }
    }
  }

  private func run() {
    while true {
      let wire = accept(descriptor, nil, nil)
      guard wire >= 0 else { return }
      let plain = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      let code = (try? Self.withLoopback(target) { connect(plain, $0, $1) }) ?? -1
      let isKept = running.withLock { state in
        guard !state.isStopped, code == 0 else { return false }
        state.sockets.formUnion([wire, plain])
        return true
      }
      guard isKept, let session = TLSSession(server: context) else {
        close(wire)
        close(plain)
        continue
      }
      let tunnel = Tunnel(wire: wire, plain: plain, session: session, cutsAtEnd: cutsAtEnd)
      threads.enter()
      Thread.detachNewThread { [self] in
        tunnel.run()
        running.withLock { state in
          state.sockets.subtract([wire, plain])
          close(wire)
          close(plain)
        }
        threads.leave()
      }
    }
  }
}

/// One connection of a front, on its own thread.
private final class Tunnel: @unchecked Sendable {
  // Safe to share: handed to one thread and never looked at again.
  private let wire: Int32
  private let plain: Int32
  private let session: TLSSession
  private let cutsAtEnd: Bool
  private var input: [UInt8] = []

  init(wire: Int32, plain: Int32, session: TLSSession, cutsAtEnd: Bool) {
    self.wire = wire
    self.plain = plain
    self.session = session
    self.cutsAtEnd = cutsAtEnd
  }

  func run() {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      var entries = [
        pollfd(fd: wire, events: Int16(POLLIN), revents: 0),
        pollfd(fd: plain, events: session.isOpen ? Int16(POLLIN) : 0, revents: 0),
      ]
      guard poll(&entries, 2, -1) > 0 else { return }
      if entries[0].revents != 0 {
        let count = recv(wire, &buffer, buffer.count, 0)
        guard count > 0 else { return }
        input += buffer[..<count]
        guard decrypt() else { return }
      }
      if entries[1].revents != 0 {
        let count = recv(plain, &buffer, buffer.count, 0)
        guard count > 0 else { return end() }
        guard encrypt(buffer[..<count]) else { return }
      }
    }
  }

  private func decrypt() -> Bool {
    var text = [UInt8](repeating: 0, count: 16_384)
    while true {
      let result = step { window in
        text.withUnsafeMutableBufferPointer { room in
          room.baseAddress.map { session.read(into: $0, capacity: room.count, &window) } ?? .closed
        }
      }
      switch result {
      case .plaintext(let count): guard send(plain, text[..<count]) else { return false }
      case .needsOutput: break
      case .needsInput, .established: return true
      case .closed, .fault: return false
      }
    }
  }

  private func encrypt(_ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = Array(bytes)
    while !rest.isEmpty {
      let result = step { window in
        rest.withUnsafeBufferPointer { all in
          all.baseAddress.map { session.write($0, count: all.count, &window) } ?? .closed
        }
      }
      guard case .plaintext(let count) = result else { return false }
      rest.removeFirst(count)
    }
    return true
  }

  private func end() {
    if !cutsAtEnd { _ = step { session.end(&$0) } }
    shutdown(wire, Int32(SHUT_WR))
    // What is unread would turn the end into a reset.
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while recv(wire, &buffer, buffer.count, 0) > 0 {}
  }

  /// One call on the session; what it writes is sent.
  private func step(_ body: (inout CiphertextWindow) -> TLSStep) -> TLSStep {
    var room = [UInt8](repeating: 0, count: 17_000)
    let (result, consumed, produced) = input.withUnsafeBufferPointer { bytes in
      room.withUnsafeMutableBufferPointer { room in
        var window = CiphertextWindow(
          input: bytes.baseAddress,
          inputCount: bytes.count,
          output: room.baseAddress,
          outputRoom: room.count
        )
        let result = body(&window)
        return (result, window.consumed, window.produced)
      }
    }
    input.removeFirst(consumed)
    _ = send(wire, room[..<produced])
    return result
  }

  private func send(_ socket: Int32, _ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}
