import Foundation
import LoadKit
import Reactor
import Testing
import Units

struct BackendTests {
  private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"

  @Test(arguments: Reactor.Backend.allowed)
  func `pipelined requests, bodies and chunks are each answered and counted`(
    kind: Reactor.Backend
  ) throws {
    let backend = try RunningBackend(kind)
    defer { backend.stop() }
    let socket = try #require(RawSocket(port: backend.port))

    socket.send(Self.get + Self.get)
    socket.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 40000\r\n\r\n")
    socket.send(String(repeating: "b", count: 40_000))
    socket.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\n")
    socket.send("abc\r\n0\r\nx: y\r\n\r\n")
    socket.send("HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    let answers = socket.readAll()

    #expect(answers.components(separatedBy: "HTTP/1.1 200 OK").count == 6)
    // The last is for HEAD and has no body.
    #expect(answers.hasSuffix("\r\n\r\n"))
    #expect(backend.stat("received") == 5)
    #expect(backend.stat("served") == 5)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `what is no HTTP is dropped and counted, and the next client is served`(
    kind: Reactor.Backend
  ) throws {
    let backend = try RunningBackend(kind)
    defer { backend.stop() }
    let hostile = [
      "\u{0}\u{1}\u{2}garbage\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\r\n" + String(repeating: "x: y\r\n", count: 5_000),
      "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ]

    for bytes in hostile {
      let socket = try #require(RawSocket(port: backend.port))
      socket.send(bytes)
      #expect(socket.readAll() == "")
    }

    #expect(backend.stat("malformed") == Double(hostile.count))
    #expect(backend.stat("received") == 0)
    let answer = try #require(RawSocket.request("GET /", port: backend.port))
    #expect(answer.hasPrefix("HTTP/1.1 200"))
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a full backlog is refused, a client that leaves is counted`(kind: Reactor.Backend) throws {
    let backend = try RunningBackend(kind) {
      $0.workers = 1
      $0.backlog = 0
      $0.serviceTime = .constant(.seconds(600))
      $0.finishesAbandoned = false
    }
    defer { backend.stop() }
    var first = RawSocket(port: backend.port)
    first?.send(Self.get)
    #expect(backend.waits(for: "working", toBe: 1))

    let answer = try #require(RawSocket.request("GET /", port: backend.port))
    first = nil
    #expect(backend.waits(for: "working", toBe: 0))

    #expect(answer.hasPrefix("HTTP/1.1 503"))
    #expect(backend.stat("received") == 2)
    #expect(backend.stat("refused") == 1)
    #expect(backend.stat("abandoned") == 1)
    #expect(backend.stat("wasted") == 0)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a killed service refuses and drops, and comes back on its port`(
    kind: Reactor.Backend
  ) throws {
    let backend = try RunningBackend(kind) { $0.serviceTime = .constant(.seconds(600)) }
    defer { backend.stop() }
    let inside = try #require(RawSocket(port: backend.port))
    inside.send(Self.get)
    #expect(backend.waits(for: "working", toBe: 1))

    #expect(backend.post("/kill").hasPrefix("HTTP/1.1 200"))
    #expect(inside.readAll() == "")
    #expect(RawSocket.request("GET /", port: backend.port) == nil)
    #expect(backend.stat("alive") == 0)
    #expect(backend.stat("reset") == 1)

    #expect(backend.post("/slow?factor=0.01").hasPrefix("HTTP/1.1 200"))
    #expect(backend.post("/recover").hasPrefix("HTTP/1.1 200"))
    #expect(backend.stat("alive") == 1)
    #expect(RawSocket(port: backend.port) != nil)
  }

  @Test func `faults happen as often as they are asked for`() throws {
    let backend = try RunningBackend(.epoll)
    defer { backend.stop() }
    func answer() -> String? { RawSocket.request("GET /", port: backend.port) }

    #expect(backend.post("/faults?error=100%25").hasPrefix("HTTP/1.1 200"))
    #expect(answer()?.prefix(12) == "HTTP/1.1 500")
    #expect(backend.post("/faults?error=0&reset=1").hasPrefix("HTTP/1.1 200"))
    #expect(answer() == "")
    #expect(backend.post("/faults?reset=0&unavailable=1").hasPrefix("HTTP/1.1 200"))
    #expect(answer()?.prefix(12) == "HTTP/1.1 503")
    #expect(backend.post("/faults?unavailable=0&drop=1").hasPrefix("HTTP/1.1 200"))
    #expect(answer() == "")
    #expect(backend.post("/recover").hasPrefix("HTTP/1.1 200"))
    #expect(answer()?.prefix(12) == "HTTP/1.1 200")
    #expect(backend.stat("failed") == 1)
    #expect(backend.stat("reset") == 1)
    #expect(backend.stat("refused") == 1)
    #expect(backend.stat("dropped") == 1)
    #expect(backend.stat("received") == 5)
    #expect(backend.stat("served") == 1)
  }

  @Test(arguments: [
    "/brownout", "/brownout?to=0", "/brownout?to=130%25", "/brownout?to=nan", "/brownout?from=3",
    "/shift?factor=0", "/shift?factor=inf", "/faults", "/faults?error=2", "/faults?errors=1%25",
  ])
  func `a wish that makes no sense changes nothing`(target: String) throws {
    let backend = try RunningBackend(.epoll)
    defer { backend.stop() }

    #expect(backend.post(target).hasPrefix("HTTP/1.1 400"))
    #expect(backend.stat("workers") == 40)
  }

  @Test func `what comes in the second after a return is counted, and begins anew with the next`()
    throws
  {
    let backend = try RunningBackend(.epoll)
    defer { backend.stop() }
    func ask() { _ = RawSocket.request("GET /", port: backend.port) }

    ask()
    #expect(backend.stat("first_second") == 0)
    _ = backend.post("/kill")
    _ = backend.post("/recover")
    // On a slow machine the second may have passed: asked until one falls into it.
    for _ in 0..<1_000 where backend.stat("first_second") == 0 {
      _ = backend.post("/kill")
      _ = backend.post("/recover")
      ask()
    }
    #expect(backend.stat("first_second") == 1)
    #expect(backend.stat("received") ?? 0 >= 2)
    _ = backend.post("/kill")
    _ = backend.post("/recover")
    #expect(backend.stat("first_second") == 0)
  }

  @Test func `brownout and shift change the workers`() throws {
    let backend = try RunningBackend(.epoll)
    defer { backend.stop() }

    #expect(backend.post("/brownout?to=30%25").hasPrefix("HTTP/1.1 200"))
    #expect(backend.stat("workers") == 12)
    #expect(backend.post("/shift?factor=3").hasPrefix("HTTP/1.1 200"))
    #expect(backend.stat("workers") == 120)
    #expect(backend.post("/recover").hasPrefix("HTTP/1.1 200"))
    #expect(backend.stat("workers") == 40)
    #expect(backend.post("/nothing").hasPrefix("HTTP/1.1 404"))
    let metrics = RawSocket.request("GET /metrics", port: backend.controlPort)
    #expect(metrics?.contains("\nloadtest_backend_received_total 0\n") == true)
  }
}
