import Foundation
import LoadEngine
import LoadKit
import Reactor
import Testing
import Units

struct LoadClientTests {
  private static let answers: [(String, ScriptedTarget.End, String)] = [
    ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", .hold, "good "),
    ("HTTP/1.1 204 No Content\r\n\r\n", .hold, "good "),
    ("HTTP/1.1 200 OK\r\n\r\nuntil the end", .close, "good "),
    ("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", .hold, "good "),
    (
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\na: b\r\n\r\n", .hold,
      "good "
    ),
    // Bytes that nobody asked for spoil the connection, not the answer before them.
    ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 No", .hold, "good "),
    ("HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno", .hold, "shed status-503"),
    ("HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n", .hold, "shed status-429"),
    (
      "HTTP/1.1 503 No\r\ncontent-length: 23\r\n\r\n{\"reason\":\"queue-full\"}", .hold,
      "shed queue-full"
    ),
    (
      "HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n"
        + "5\r\n{\"rea\r\n7\r\nson\":\"q\r\nb\r\nueue-full\"}\r\n0\r\n\r\n", .hold,
      "shed queue-full"
    ),
    (
      "HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n"
        + "5\r\n{\"rea\r\n7\r\nlity\":1\r\n1\r\n}\r\n0\r\n\r\n", .hold, "shed status-503"
    ),
    ("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", .hold, "failed status-404"),
    ("\u{1}garbage\r\n\r\n", .hold, "error malformed: malformed-version"),
    (
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", .hold,
      "error malformed: repeated-content-length"
    ),
    (
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", .hold,
      "error malformed: malformed-chunk-size"
    ),
    (
      "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", .hold,
      "error malformed"
    ),
    ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", .close, "error closed-early"),
    ("HTTP/1.1 200 OK\r\ncontent-len", .close, "error closed-early"),
    ("", .close, "error closed-early"),
    ("", .reset, "error reset"),
    ("HTTP/1.1 100 Continue\r\n\r\n", .forever, "error too-many-interim"),
  ]

  @Test(arguments: Reactor.Backend.allowed, Array(answers.indices))
  func `whatever a target says ends as one counted outcome`(
    backend: Reactor.Backend,
    index: Int
  ) throws {
    let (bytes, end, expected) = Self.answers[index]
    let target = try ScriptedTarget(bytes, end)
    defer { target.stop() }

    let result = try ClientRun.run(port: target.port, backend)

    #expect(result.count(expected) == result.tally.offered, "\(result.tally.counts)")
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a head without end is cut off at its bound`(backend: Reactor.Backend) throws {
    let fields = String(repeating: "a: \(String(repeating: "b", count: 997))\r\n", count: 64)
    let target = try ScriptedTarget("HTTP/1.1 200 OK\r\n" + fields, .hold)
    defer { target.stop() }

    let result = try ClientRun.run(port: target.port, backend)

    #expect(result.count("error head-too-large") == result.tally.offered)
  }

  @Test(arguments: Reactor.Backend.allowed, [ScriptedTarget.End.hold, .forever])
  func `a target that never ends its answer ends at the caller's patience`(
    backend: Reactor.Backend,
    end: ScriptedTarget.End
  ) throws {
    let body = end == .hold ? "" : String(repeating: "x", count: 10_000)
    let target = try ScriptedTarget(end == .hold ? "" : body, end)
    defer { target.stop() }
    let head = end == .forever ? "error malformed: malformed-version" : "error timed-out"

    let result = try ClientRun.run(port: target.port, backend) {
      $0.deadline = .milliseconds(50)
      $0.timeout = .milliseconds(50)
    }

    let ours = result.count("error harness-late")
    #expect(result.count(head) + result.count("error timed-out") + ours >= result.tally.offered)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `nobody there is a refused connection`(backend: Reactor.Backend) throws {
    let target = try ScriptedTarget("", .close)
    target.stop()

    let result = try ClientRun.run(port: target.port, backend)

    #expect(result.count("error connect-refused") == result.tally.offered)
    #expect(result.figures.connectFailures >= 1)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `client and backend agree to the request`(backend: Reactor.Backend) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }

    let result = try ClientRun.run(
      port: service.port,
      backend,
      arrivals: .open(.poisson),
      rate: 500,
      seconds: 1,
      connections: 200
    ) {
      $0.method = "POST"
      $0.bodySize = 40_000
    }

    #expect(result.count(.good) == result.tally.offered)
    #expect(service.stat("received") == Double(result.tally.attempts))
    #expect(service.stat("served") == Double(result.count(.good)))
    #expect(result.figures.lag.count == result.tally.offered)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `callers that try again are counted once, their attempts each`(
    backend: Reactor.Backend
  ) throws {
    let target = try ScriptedTarget("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", .close)
    defer { target.stop() }

    let result = try ClientRun.run(port: target.port, backend) {
      var retries = RetryBehaviour()
      retries.attempts = 3
      retries.backoff = .zero
      $0.retries = retries
    }

    #expect(result.count("shed status-503") == result.tally.offered)
    #expect(result.tally.attempts == result.tally.offered * 4)
    #expect(result.tally.attemptCounts.reduce(0, +) == result.tally.attempts)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `requests that find every connection busy wait for one, and none is opened beyond the bound`(
    backend: Reactor.Backend
  ) throws {
    let target = try ScriptedTarget("", .hold)
    defer { target.stop() }

    let result = try ClientRun.run(
      port: target.port,
      backend,
      arrivals: .open(.constant),
      rate: 100,
      seconds: 0.3,
      connections: 1
    ) {
      $0.deadline = .milliseconds(500)
      $0.timeout = .milliseconds(500)
    }

    #expect(result.tally.offered == 30)
    #expect(result.figures.mostConnections == 1)
    #expect(result.count(.error) == 30)
    #expect(result.figures.waited + result.count("error harness-late") >= 29)
  }

  @Test(arguments: [
    "ftp://a", "127.0.0.1:80", "http://", "http://127.0.0.1:0", "http://127.0.0.1:99999",
    "http://127.0.0.1/path", "http://user@127.0.0.1", "http://127.0.0.1:80\r\nx: y",
  ])
  func `what is no origin is refused`(url: String) {
    #expect(throws: EngineError.self) { _ = try Target(url) }
  }
}
