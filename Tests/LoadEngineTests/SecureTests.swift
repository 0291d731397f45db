import Foundation
import LoadEngine
import LoadKit
import Reactor
import TLS
import Testing
import Units

/// TLS towards targets, and what it is to be believed by.
struct SecureTests {
  private func run(
    _ front: SecureFront,
    _ backend: Reactor.Backend,
    _ spoken: WireProtocol,
    trust: TargetTrust? = nil,
    kind change: (inout RequestKind) -> Void = { _ in }
  ) throws -> ClientRun {
    try ClientRun.run(scheme: "https", port: front.port, backend, kind: change) {
      $0.wireProtocol = spoken
      $0.trust = trust ?? .authorities(front.authorities)
    }
  }

  @Test(arguments: Reactor.Backend.allowed, [WireProtocol.http1, .automatic])
  func `a believed target is served to the request, bodies of any size included`(
    backend: Reactor.Backend,
    spoken: WireProtocol
  ) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }
    let front = try SecureFront(before: service.port, protocols: [.http1])
    defer { front.stop() }

    for size in [0, 1, 16_384, 300_000] {
      let before = try #require(service.stat("received"))
      let result = try run(front, backend, spoken) {
        $0.method = "POST"
        $0.bodySize = size
      }

      #expect(result.count(.good) == result.tally.offered, "\(size): \(result.outcomes)")
      #expect(service.stat("received") == before + Double(result.tally.attempts))
    }
  }

  @Test(arguments: Reactor.Backend.allowed, [WireProtocol.http2, .automatic])
  func `a target that chooses h2 is spoken to in frames`(
    backend: Reactor.Backend,
    spoken: WireProtocol
  ) throws {
    let target = try FrameTarget(
      .answer(status: "200", fields: [:], body: 100_000 / 10, trailers: [:])
    )
    defer { target.stop() }
    let front = try SecureFront(before: target.port)
    defer { front.stop() }

    let result = try run(front, backend, spoken)

    #expect(result.count(.good) == result.tally.offered, "\(result.outcomes)")
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a target is believed for its certificate alone, unless that is not wanted`(
    backend: Reactor.Backend
  ) throws {
    let target = try ScriptedTarget("HTTP/1.1 204 No Content\r\n\r\n", .hold)
    defer { target.stop() }
    let front = try SecureFront(before: target.port)
    defer { front.stop() }
    let other = try SecureFront(before: target.port, name: "DNS:other.test")
    defer { other.stop() }

    let stranger = try run(front, backend, .http1, trust: .system)
    let misnamed = try run(other, backend, .http1)
    let insecure = try run(other, backend, .http1, trust: .insecure)

    #expect(stranger.count("error tls: unknown-authority") == stranger.tally.offered)
    #expect(misnamed.count("error tls: name-mismatch") == misnamed.tally.offered)
    #expect(insecure.count(.good) == insecure.tally.offered, "\(insecure.outcomes)")
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a target without h2 is told apart from one that fails`(backend: Reactor.Backend) throws {
    let target = try ScriptedTarget("HTTP/1.1 204 No Content\r\n\r\n", .hold)
    defer { target.stop() }
    // An empty offer ignores ALPN.
    let front = try SecureFront(before: target.port, protocols: [])
    defer { front.stop() }

    let result = try run(front, backend, .http2)

    #expect(result.count("error tls: no-h2") == result.tally.offered, "\(result.outcomes)")
  }

  @Test(arguments: Reactor.Backend.allowed, [false, true])
  func `a body that ends with the connection needs close_notify to be whole`(
    backend: Reactor.Backend,
    isCut: Bool
  ) throws {
    let target = try ScriptedTarget("HTTP/1.1 200 OK\r\n\r\nuntil the end", .close)
    defer { target.stop() }
    let front = try SecureFront(before: target.port, cutsAtEnd: isCut)
    defer { front.stop() }

    let result = try run(front, backend, .http1)

    let expected = isCut ? "error closed-early" : "good "
    #expect(result.count(expected) == result.tally.offered, "\(result.outcomes)")
  }

  private static let strangers: [(String, ScriptedTarget.End)] = [
    ("HTTP/1.1 400 Bad Request\r\n\r\n", .close), ("\u{16}\u{3}\u{3}\u{0}\u{2}xx", .hold),
    ("", .close), ("", .reset),
    (String(repeating: "\u{16}\u{3}\u{3}\u{40}\u{0}", count: 9), .forever),
  ]

  @Test(arguments: Reactor.Backend.allowed, Array(strangers.indices))
  func `what speaks no TLS, or breaks it off, is an error for each call`(
    backend: Reactor.Backend,
    index: Int
  ) throws {
    let (bytes, end) = Self.strangers[index]
    let target = try ScriptedTarget(bytes, end)
    defer { target.stop() }

    let result = try ClientRun.run(scheme: "https", port: target.port, backend) {
      $0.deadline = .milliseconds(200)
      $0.timeout = .milliseconds(200)
    } options: {
      $0.trust = .insecure
    }

    #expect(result.count(.error) == result.tally.offered, "\(result.outcomes)")
    #expect(result.figures.mostBlocks <= 64)
  }

  @Test func `authorities that cannot be read are told before anything is sent`() {
    #expect(throws: EngineError.self) {
      _ = try ClientRun.run(scheme: "https", port: 1, .epoll) { _ in
      } options: {
        $0.trust = .authorities("/nowhere/authorities.pem")
      }
    }
  }
}
