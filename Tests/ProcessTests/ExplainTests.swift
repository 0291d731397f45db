import CLinux
import Foundation
import Glibc
import Testing

/// `spillway explain`, asked of a running edge as an operator would.
@Suite(.serialized)
struct ExplainTests {
  private static func text(port: UInt16, admin: UInt16, to upstream: UInt16) -> String {
    """
    environment: test
    workers: 2
    admin: {address: 127.0.0.1:\(admin)}
    drain: {grace: 100ms, deadline: 20s}
    accessLog: {output: off}
    listeners: [{name: public, address: 127.0.0.1:\(port)}]
    services:
      - name: origin
        endpoints: [127.0.0.1:\(upstream)]
        admission: {limit: {kind: fixed, inFlight: 1}, queue: {capacity: 1}}
      - {name: spare, endpoints: [127.0.0.1:\(upstream)], admission: {mode: off}}
    routes:
      - name: all
        match: {pathPrefix: /}
        class: important
        upstream: {service: origin}
        policies: {auth: none, timeoutMs: 30000}

    """
  }

  @Test func `it tells what admission does, and on which numbers it refused`() throws {
    let port = try FreePort.find()
    let admin = try FreePort.find()
    let upstream = try TestSocket.listening(port: 0)
    defer { close(upstream.descriptor) }
    let edge = try RunningEdge(
      configuration: Self.text(port: port, admin: admin, to: upstream.port)
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let held = try TestSocket.open(port: port)
    defer { close(held) }
    try TestSocket.ask(held)
    let service = accept(upstream.descriptor, nil, nil)
    defer { close(service) }
    // It has the only permit, so this one waits as long as its class may.
    #expect(try TestSocket.get(port: port).contains("shed-queue-timeout"))

    let file = edge.configuration.path
    let told = try RunningEdge.output(of: ["explain", file])
    let same = try RunningEdge.output(of: ["explain", "--admin", "127.0.0.1:\(admin)"])
    let json = try RunningEdge.output(of: ["explain", "--json", file])

    #expect(told.code == 0 && same.code == 0 && json.code == 0)
    for line in [
      "origin: enforce, limit 1 (fixed), 1 in flight, 0 waiting",
      "queue: critical 0, important 0, normal 0, best-effort 0",
      "last shed-queue-timeout at ", "important on route all, 1 of 1 in flight",
      "spare: admission is off",
    ] { #expect(told.text.contains(line), "\(line) is missing in\n\(told.text)") }
    #expect(same.text == told.text)
    let root = try JSONSerialization.jsonObject(with: Data(json.text.utf8)) as? [String: Any]
    let services = try #require(root?["services"] as? [[String: Any]])
    #expect(services.map { $0["name"] as? String } == ["origin", "spare"])
    #expect(services[0]["limit"] as? Int == 1)
    try TestSocket.answer(service)
  }

  @Test func `it says clearly why it cannot tell`() throws {
    let dead = try FreePort.find()
    for (arguments, reason) in [
      ([], "give the configuration file or --admin"),
      (["--admin", "127.0.0.1"], "is no address and port"),
      (["--admin", "127.0.0.1:0"], "is no address and port"),
      (["--admin", "localhost:80"], "no IP address"),
      (["--admin", "127.0.0.1:\(dead)"], "Connection refused"),
      (["/no/such/file.yaml"], "/no/such/file.yaml"),
    ] {
      let refused = try RunningEdge.output(of: ["explain"] + arguments)
      #expect(refused.code != 0)
      #expect(refused.text.contains(reason), "\(arguments) said\n\(refused.text)")
    }
  }

  @Test func `who answers something else is no edge`() throws {
    let other = try TestSocket.listening(port: 0)
    defer { close(other.descriptor) }
    let thread = Thread {
      for answer in ["HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0-x\r\n", ""] {
        let peer = accept(other.descriptor, nil, nil)
        var block = [UInt8](repeating: 0, count: 4_096)
        _ = recv(peer, &block, block.count, 0)
        _ = send(peer, answer, answer.utf8.count, Int32(MSG_NOSIGNAL))
        close(peer)
      }
    }
    thread.start()

    for reason in ["HTTP/1.1 404 Not Found", "no HTTP", "no HTTP"] {
      let asked = try RunningEdge.output(of: ["explain", "--admin", "127.0.0.1:\(other.port)"])
      #expect(asked.code != 0)
      #expect(asked.text.contains(reason), "\(asked.text)")
    }
  }
}
