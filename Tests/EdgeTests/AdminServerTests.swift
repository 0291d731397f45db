import CLinux
import Edge
import Foundation
import Telemetry
import Testing

struct AdminServerTests {
  private let endpoints = AdminEndpoints()
  private let readiness = ReadinessState()
  private let metrics = MetricRegistry(shards: 1)

  init() {
    endpoints.registerStandard(metrics: metrics, readiness: readiness)
    readiness.register(in: metrics)
    ProcessMetrics.register(in: metrics, version: "1.0.0")
    endpoints.register("POST", "/echo", summary: "gives back the body") { request in
      AdminReply(contentType: "application/octet-stream", body: request.body)
    }
  }

  private func withServer(_ body: (AdminServer) throws -> Void) throws {
    let server = try AdminServer(address: "127.0.0.1:0", endpoints: endpoints)
    try server.start()
    defer { server.stop() }
    try body(server)
  }

  private func get(_ path: String, _ fields: String = "") throws -> String {
    var answer = ""
    try withServer { server in
      let client = try AdminClient(port: server.port)
      client.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)Connection: close\r\n\r\n")
      answer = client.readToEnd()
    }
    return answer
  }

  @Test func `clients that send half a request in every place do not keep a new one out`() throws {
    try withServer { server in
      let idle = try (0..<AdminServer.maximumConnections - 1).map { _ in
        try AdminClient(port: server.port)
      }
      for client in idle { client.send("GET /healthz HTTP/1.1\r\nHost") }

      let client = try AdminClient(port: server.port)
      client.send("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

      #expect(client.readToEnd().hasSuffix("\r\n\r\nok\n"))
      withExtendedLifetime(idle) {}
    }
  }

  @Test func `an idle connection makes room when all places are taken`() throws {
    try withServer { server in
      let idle = try (0..<AdminServer.maximumConnections).map { _ in
        let client = try AdminClient(port: server.port)
        client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(client.read(until: "ok\n").hasSuffix("ok\n"))
        return client
      }

      let client = try AdminClient(port: server.port)
      client.send("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

      #expect(client.readToEnd().hasSuffix("ok\n"))
      withExtendedLifetime(idle) {}
    }
  }

  @Test func `a client that reads nothing of a large answer holds nobody up`() throws {
    for route in 0..<2_000 {
      let histogram = metrics.histogram("x_seconds", help: "X.", labels: ["r": "r\(route)"])
      metrics.shard(0).observe(histogram, nanoseconds: 1)
    }
    try withServer { server in
      let deaf = try AdminClient(port: server.port)
      for _ in 0..<8 { deaf.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n") }

      let client = try AdminClient(port: server.port)
      client.send("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

      #expect(client.readToEnd().hasSuffix("ok\n"))
      withExtendedLifetime(deaf) {}
    }
  }

  @Test(arguments: [
    ("GET /healthz HTTP/1.1\r\n\r\n", 400), ("GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 505), ("GET /healthz\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\n x: y\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: \0\r\n\r\n", 400),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413),
    ("GET /" + String(repeating: "a", count: 8_192), 431),
    ("GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
    ("POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
    ("DELETE /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
  ])
  func `what is wrong is refused by the right status and closed`(bytes: String, status: Int) throws
  {
    try withServer { server in
      let client = try AdminClient(port: server.port)

      client.send(bytes)

      #expect(client.readToEnd().hasPrefix("HTTP/1.1 \(status) "))
    }
  }

  @Test func `a 405 names what is allowed`() throws {
    try withServer { server in
      let client = try AdminClient(port: server.port)
      client.send("POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

      #expect(client.readToEnd().contains("\r\nallow: GET, HEAD\r\n"))
    }
  }

  @Test func `pipelined requests are answered in order, HEAD without a body`() throws {
    try withServer { server in
      let client = try AdminClient(port: server.port)

      client.send("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
      client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")
      client.send("cGET / HTTP/1.0\r\n\r\n")

      let answer = client.readToEnd()
      #expect(answer.contains("content-length: 3\r\n"))
      #expect(answer.contains("\r\n\r\nHTTP/1.1 200 OK"))
      #expect(answer.contains("\r\n\r\nabcHTTP/1.1 200 OK"))
      #expect(answer.contains("GET /metrics  "))
    }
  }

  @Test func `without a configuration it is not ready and has no version`() throws {
    #expect(try get("/readyz").hasPrefix("HTTP/1.1 503 "))
    #expect(try get("/readyz").contains("no configuration"))
    #expect(try get("/admin/config-version").hasPrefix("HTTP/1.1 503 "))
  }

  @Test func `the version is told as the seed writes it`() throws {
    readiness.adopt(
      ConfigurationVersion(
        number: 42,
        loadedAt: 1_775_643_330_000_000_000,
        checksum: "sha256:ab",
        environment: "test"
      )
    )

    let body = #"{"configVersion":42,"loadedAt":"2026-04-08T10:15:30Z","checksum":"sha256:ab"}"#
    #expect(try get("/admin/config-version").hasSuffix("\r\n\r\n\(body)\n"))
    #expect(try get("/readyz").hasPrefix("HTTP/1.1 200 "))
    let text = try get("/metrics")
    let labels = #"version="42",checksum="sha256:ab",environment="test""#
    #expect(text.contains("spillway_config_info{\(labels)} 1"))
    #expect(text.contains("spillway_config_loaded_timestamp_seconds 1775643330\n"))
  }

  @Test func `on the last good copy it is ready and says so`() throws {
    readiness.refuse("spillway.yaml:3:1: \"x\" is unknown")
    readiness.adopt(
      ConfigurationVersion(number: 1, loadedAt: 0, checksum: "sha256:", isLastGoodCopy: true)
    )

    let answer = try get("/readyz")
    #expect(answer.hasPrefix("HTTP/1.1 200 "))
    #expect(answer.contains("running on the last good copy"))
    #expect(answer.contains(#"spillway.yaml:3:1: \"x\" is unknown"#))
    #expect(try get("/metrics").contains("spillway_config_last_good_copy 1\n"))
  }

  @Test func `while draining it is not ready whatever it runs on`() throws {
    readiness.adopt(ConfigurationVersion(number: 1, loadedAt: 0, checksum: "sha256:"))
    readiness.drain()

    #expect(!readiness.isReady)
    #expect(try get("/readyz").contains(#""reasons":["draining"]"#))
  }

  @Test func `Accept chooses the format of the metrics`() throws {
    let text = try get("/metrics")
    let open = try get("/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n")

    #expect(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
    #expect(open.contains("content-type: application/openmetrics-text; version=1.0.0"))
    #expect(open.hasSuffix("# EOF\n"))
  }

  @Test func `a taken port and a wrong address are errors of the start`() throws {
    try withServer { server in
      #expect(throws: TelemetryError.self) {
        try AdminServer(address: "127.0.0.1:\(server.port)", endpoints: endpoints)
      }
      for address in ["", "127.0.0.1", "localhost:1", "127.0.0.1:70000", "[::1:80", ":80"] {
        #expect(throws: TelemetryError.self) {
          try AdminServer(address: address, endpoints: endpoints)
        }
      }
    }
  }
}

/// A plain client of the admin port.
final class AdminClient {
  private let descriptor: Int32

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    // A server that does not answer fails the test rather than hanging it.
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(
      descriptor,
      SOL_SOCKET,
      SO_RCVTIMEO,
      &patience,
      socklen_t(MemoryLayout<timeval>.size)
    )
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if code != 0 { throw POSIXError(.ECONNREFUSED) }
  }

  deinit { close(descriptor) }

  func send(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  func readToEnd() -> String { read(until: nil) }

  func read(until end: String?) -> String {
    var answer: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &room, room.count, 0)
      guard count > 0 else { break }
      answer += room[..<count]
      if let end, answer.suffix(end.utf8.count).elementsEqual(end.utf8) { break }
    }
    return String(decoding: answer, as: UTF8.self)
  }
}
