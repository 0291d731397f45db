import Foundation
import LoadEngine
import LoadKit
import Reactor
import Testing
import Units

/// HTTP/2 towards targets of every kind.
struct SessionTests {
  private static func answer(
    _ status: String,
    _ fields: [String: String] = [:],
    body: Int = 0,
    trailers: [String: String] = [:]
  ) -> FrameTarget.Manner {
    .answer(status: status, fields: fields, body: body, trailers: trailers)
  }

  private func run(
    _ manner: FrameTarget.Manner,
    _ backend: Reactor.Backend,
    seconds: Double = 0.1,
    kind change: (inout RequestKind) -> Void = { _ in }
  ) throws -> ClientRun {
    let target = try FrameTarget(manner)
    defer { target.stop() }
    return try ClientRun.run(
      port: target.port,
      backend,
      seconds: seconds,
      kind: change,
      options: { $0.wireProtocol = .http2 }
    )
  }

  private static let answers: [(FrameTarget.Manner, String)] = [
    (answer("200"), "good "),
    (answer("204"), "good "),
    (answer("200", body: 5), "good "),
    (answer("200", body: 10_000, trailers: ["a": "b"]), "good "),
    (answer("503"), "shed status-503"),
    (answer("503", body: 9), "shed status-503"),
    (answer("429"), "shed status-429"),
    (answer("404"), "failed status-404"),
    (answer("200", ["Capital": "no"]), "error malformed: capital-field-name"),
    (answer("abc"), "error malformed: malformed-status"),
    (
      answer("200", ["content-length": "3"], body: 5), "error malformed: disagreeing-content-length"
    ),
    (.reset(7), "error stream-reset: refused-stream"),
    (.reset(2), "error stream-reset: internal-error"),
    (.reset(77), "error stream-reset: code-77"),
    (.goAway, "error stream-reset: refused-stream"),
    (.leave, "good "),
    (.interims, "error too-many-interim"),
    (.strangeStream, "error h2: violation-1"),
  ]

  @Test(arguments: Reactor.Backend.allowed, Array(answers.indices))
  func `whatever a target says in frames ends as one counted outcome`(
    backend: Reactor.Backend,
    index: Int
  ) throws {
    let (manner, expected) = Self.answers[index]

    let result = try run(manner, backend)

    #expect(result.count(expected) == result.tally.offered, "\(result.outcomes)")
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `bytes that are no frames, or none, end the session and its call`(backend: Reactor.Backend)
    throws
  {
    for manner in [FrameTarget.Manner.garbage, .close] {
      let result = try run(manner, backend)

      #expect(result.count(.error) == result.tally.offered, "\(result.outcomes)")
    }
  }

  private static let status = "grpc-status"
  private static let calls: [(FrameTarget.Manner, String)] = [
    (answer("200", body: 7, trailers: [status: "0"]), "good "),
    (answer("200", [status: "0"]), "good "),
    (answer("200", body: 7, trailers: [status: "14"]), "shed grpc: unavailable"),
    (answer("200", [status: "14"]), "shed grpc: unavailable"),
    (answer("200", [status: "8"]), "shed grpc: resource-exhausted"),
    (answer("200", [status: "4"]), "failed grpc: deadline-exceeded"),
    (answer("200", [status: "99"]), "failed grpc: code-99"),
    (answer("200", body: 7, trailers: ["other": "0"]), "failed grpc: no-status"),
    (answer("200", [status: "x"]), "failed grpc: no-status"),
    (answer("200", [status: "00000"]), "failed grpc: no-status"),
    // Its place is the trailers; in a head with a body behind it it means nothing.
    (answer("200", [status: "0"], body: 7), "failed grpc: no-status"),
    (answer("503"), "shed status-503"),
  ]

  @Test(arguments: Reactor.Backend.allowed, Array(calls.indices))
  func `a call of gRPC is judged by its status, wherever that stands`(
    backend: Reactor.Backend,
    index: Int
  ) throws {
    let (manner, expected) = Self.calls[index]

    let result = try run(manner, backend) {
      $0.method = "POST"
      $0.isGRPC = true
      $0.bodySize = 100
    }

    #expect(result.count(expected) == result.tally.offered, "\(result.outcomes)")
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `calls that nobody answers hold no more streams and connections than their bounds`(
    backend: Reactor.Backend
  ) throws {
    for manner in [FrameTarget.Manner.silence, .deafness, .halfFrame] {
      let target = try FrameTarget(manner)
      defer { target.stop() }

      let result = try ClientRun.run(
        port: target.port,
        backend,
        arrivals: .open(.constant),
        rate: 2_000,
        seconds: 0.4,
        connections: 2,
        kind: {
          $0.deadline = .milliseconds(100)
          $0.timeout = .milliseconds(100)
        },
        options: {
          $0.wireProtocol = .http2
          $0.connections.streams = 10
        }
      )

      #expect(result.count(.error) == 800, "\(result.outcomes)")
      #expect(result.figures.mostConnections <= 2)
      // Two connections' worth, and streams that are closed but not yet asked for.
      #expect(result.figures.mostStreams <= 40)
      #expect(result.figures.mostBlocks <= 64)
    }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a body without end costs no memory and ends at the caller's patience`(
    backend: Reactor.Backend
  ) throws {
    let result = try run(.endless, backend) {
      $0.deadline = .milliseconds(200)
      $0.timeout = .milliseconds(200)
    }

    let ours = result.count("error harness-late")
    #expect(result.count("error timed-out") + ours == result.tally.offered, "\(result.outcomes)")
    #expect(result.figures.mostBlocks <= 64)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a flood of frames that ask for answers ends the session`(
    backend: Reactor.Backend
  ) throws {
    let result = try run(.pings, backend) {
      $0.deadline = .seconds(20)
      $0.timeout = .seconds(20)
    }

    #expect(result.count(.error) == result.tally.offered, "\(result.outcomes)")
    #expect(result.figures.mostBlocks <= 128)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `nobody there is a refused connection`(backend: Reactor.Backend) throws {
    let target = try ScriptedTarget("", .close)
    target.stop()

    let result = try ClientRun.run(
      port: target.port,
      backend,
      arrivals: .open(.constant),
      rate: 500,
      options: { $0.wireProtocol = .http2 }
    )

    #expect(result.count("error connect-refused") == result.tally.offered, "\(result.outcomes)")
  }

  @Test func `calls of gRPC without HTTP2 are refused before anything is sent`() {
    #expect(throws: EngineError.self) {
      _ = try ClientRun.run(port: 1, .epoll, kind: { $0.isGRPC = true })
    }
  }
}
