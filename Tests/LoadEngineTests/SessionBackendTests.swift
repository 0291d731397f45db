import LoadEngine
import LoadKit
import Reactor
import Testing
import Units

/// The simulated service over HTTP/2, spoken to by the harness's own client.
struct SessionBackendTests {
  private func run(
    _ service: RunningBackend,
    _ backend: Reactor.Backend,
    arrivals: Arrivals = .closed(concurrency: 8),
    rate: Double = 0,
    seconds: Double = 0.2,
    streams: Int = 100,
    kind change: (inout RequestKind) -> Void = { _ in }
  ) throws -> ClientRun {
    try ClientRun.run(
      port: service.port,
      backend,
      arrivals: arrivals,
      rate: rate,
      seconds: seconds,
      connections: 4,
      kind: change
    ) {
      $0.wireProtocol = .http2
      $0.connections.streams = streams
    }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `client and backend agree to the request, whatever the bodies`(
    backend: Reactor.Backend
  ) throws {
    let service = try RunningBackend(backend) { $0.answerSize = 100_000 }
    defer { service.stop() }
    var expected = 0.0

    for size in [0, 1, 32_768, 32_769, 300_000] {
      let result = try run(service, backend) {
        $0.method = "POST"
        $0.bodySize = size
      }
      expected += Double(result.tally.attempts)

      #expect(result.count(.good) == result.tally.offered, "\(size): \(result.outcomes)")
      #expect(result.figures.bytesReceived >= result.tally.offered * 100_000)
      #expect(service.stat("received") == expected)
      #expect(service.stat("served") == expected)
    }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `calls of gRPC are answered with a message and a status`(backend: Reactor.Backend) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }

    let result = try run(service, backend) {
      $0.method = "POST"
      $0.isGRPC = true
      $0.bodySize = 1_000
    }

    #expect(result.count(.good) == result.tally.offered, "\(result.outcomes)")
    #expect(service.stat("served") == Double(result.count(.good)))
  }

  @Test(arguments: Reactor.Backend.allowed, [false, true])
  func `a full backlog refuses, and both sides count the same`(
    backend: Reactor.Backend,
    isGRPC: Bool
  ) throws {
    let service = try RunningBackend(backend) {
      $0.workers = 1
      $0.serviceTime = .constant(.milliseconds(20))
      $0.backlog = 0
    }
    defer { service.stop() }

    let result = try run(service, backend) {
      $0.method = "POST"
      $0.isGRPC = isGRPC
    }

    let refusals = result.count(isGRPC ? "shed grpc: unavailable" : "shed status-503")
    #expect(refusals > 0)
    #expect(result.count(.good) + refusals == result.tally.offered, "\(result.outcomes)")
    #expect(service.stat("refused") == Double(refusals))
    #expect(service.stat("served") == Double(result.count(.good)))
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `faults reach the stream they are for, not its neighbours`(
    backend: Reactor.Backend
  ) throws {
    let service = try RunningBackend(backend) {
      $0.faults.error = 0.2
      $0.faults.reset = 0.2
    }
    defer { service.stop() }

    let result = try run(service, backend)

    let resets = result.count("error stream-reset: internal-error")
    #expect(result.figures.connects == 1)
    #expect(service.stat("reset") == Double(resets))
    #expect(service.stat("failed") == Double(result.count("failed status-500")))
    #expect(
      result.count(.good) + result.count(.failed) + resets == result.tally.offered,
      "\(result.outcomes)"
    )
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `callers that give up are abandoned requests`(backend: Reactor.Backend) throws {
    let service = try RunningBackend(backend) {
      $0.workers = 1
      $0.serviceTime = .constant(.seconds(30))
      $0.finishesAbandoned = false
    }
    defer { service.stop() }

    let result = try run(service, backend, arrivals: .open(.constant), rate: 200) {
      $0.deadline = .milliseconds(50)
      $0.timeout = .milliseconds(50)
    }

    let ours = result.count("error harness-late")
    #expect(result.count("error timed-out") + ours == result.tally.offered, "\(result.outcomes)")
    // Answers to resets that are under way when the client has gone.
    #expect(service.waits(for: "waiting", toBe: 0))
    #expect(service.stat("abandoned") == service.stat("received"))
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `slow bodies and slow callers are served whole`(backend: Reactor.Backend) throws {
    let service = try RunningBackend(backend) {
      $0.faults.slowBody = 1
      $0.faults.slowBodyTime = .milliseconds(100)
    }
    defer { service.stop() }

    let result = try run(service, backend) {
      $0.method = "POST"
      $0.bodySize = 5_000
      var pace = SlowPace()
      pace.sending = .milliseconds(100)
      pace.pause = .milliseconds(5)
      $0.pace = pace
    }

    #expect(result.count(.good) == result.tally.offered, "\(result.outcomes)")
    let median = result.account.served(priority: nil, phases: 0..<1).percentile(50)
    // Neither may be skipped: the body took its time, and then the answer.
    #expect(median >= 180_000_000)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a slow caller of HTTP1 is served whole, and its connection lives on`(
    backend: Reactor.Backend
  ) throws {
    let service = try RunningBackend(backend) { $0.answerSize = 200_000 }
    defer { service.stop() }

    let result = try ClientRun.run(port: service.port, backend, seconds: 0.3) {
      $0.method = "POST"
      $0.bodySize = 5_000
      var pace = SlowPace()
      pace.sending = .milliseconds(50)
      pace.pause = .milliseconds(2)
      $0.pace = pace
    }

    #expect(result.count(.good) == result.tally.offered, "\(result.outcomes)")
    #expect(result.figures.connects == 1)
    #expect(service.stat("served") == Double(result.tally.offered))
    let least = result.account.served(priority: nil, phases: 0..<1).minimum
    #expect(least >= 40_000_000)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a service that is killed breaks off what is inside, and serves again`(
    backend: Reactor.Backend
  ) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }
    let raw = try #require(RawSocket(port: service.port))
    raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0")
    // The service's own SETTINGS: it is a session by now.
    #expect(!raw.read(through: "\u{4}").isEmpty)

    _ = service.post("/kill")
    #expect(RawSocket(port: service.port) == nil)
    _ = raw.readAll()
    _ = service.post("/recover")

    let result = try run(service, backend)
    #expect(result.count(.good) == result.tally.offered, "\(result.outcomes)")
  }

  @Test(arguments: Reactor.Backend.allowed, ["PRI * HTTP/2.0\r\n\r\nXX", "PRIX", "\0\0\0\u{4}"])
  func `what only begins like HTTP2 is no request`(backend: Reactor.Backend, text: String) throws {
    let service = try RunningBackend(backend)
    defer { service.stop() }
    let raw = try #require(RawSocket(port: service.port))

    raw.send(text + "\r\n\r\n")

    #expect(raw.readAll().isEmpty)
    #expect(service.waits(for: "malformed", toBe: 1))
    #expect(service.stat("received") == 0)
  }
}
