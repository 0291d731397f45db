import Configuration
import HTTPCodec
import Testing
import Units

@testable import Edge

/// Requests of calls as they go to workers.
struct CallHeadTests {
  private static func text(_ request: ServiceRequest) throws(CallFault) -> String {
    String(decoding: try CallHead.bytes(request, authority: "a:1").bytes, as: UTF8.self)
  }

  @Test func `a request is written with the host of its service`() throws {
    var request = ServiceRequest(service: "s", target: "/a?b", fields: [ServiceField("X", "1")])
    #expect(
      try Self.text(request)
        == "GET /a?b HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\nX: 1\r\n\r\n"
    )

    request.fields.append(ServiceField("HOST", "b"))
    request.method = "POST"
    #expect(
      try Self.text(request)
        == "POST /a?b HTTP/1.1\r\nhost: b\r\nconnection: close\r\nX: 1\r\ncontent-length: 0\r\n\r\n"
    )

    request.body = Array("body".utf8)
    #expect(try Self.text(request).hasSuffix("content-length: 4\r\n\r\nbody"))
    #expect(try CallHead.bytes(request, authority: "a").method == .post)
  }

  @Test func `a body of the most bytes is taken, and no larger one`() throws {
    var request = ServiceRequest(service: "s", target: "/")
    request.body = [UInt8](repeating: 1, count: ServiceRequest.largestBody)
    #expect(try CallHead.bytes(request, authority: "a").bytes.count > request.body.count)

    request.body.append(1)
    #expect(throws: CallFault.self) { try CallHead.bytes(request, authority: "a") }
  }

  @Test func `a service is named by its certificate, else by its first endpoint`() {
    func authority(_ change: (inout ServiceSetting) -> Void) -> String {
      var service = ServiceSetting(name: "s", endpoints: [.host("etcd.test", port: 2_379)])
      change(&service)
      return CallDirectory.authority(of: service)
    }

    #expect(authority { _ in } == "etcd.test:2379")
    #expect(authority { $0.endpoints = [.host("etcd.test", port: 80)] } == "etcd.test")
    #expect(authority { $0.endpoints = [.host("::1", port: 80)] } == "[::1]")
    #expect(authority { $0.endpoints = [.host("::1", port: 81)] } == "[::1]:81")
    #expect(authority { $0.endpoints = [.unix("/run/etcd")] } == "localhost")
    #expect(authority { $0.endpoints = [] } == "localhost")
    #expect(
      authority {
        $0.wireProtocol = .h2
        $0.tls = ServiceTLSSetting()
        $0.endpoints = [.host("etcd.test", port: 443)]
      } == "etcd.test"
    )
    #expect(
      authority {
        $0.tls = ServiceTLSSetting()
        $0.tls?.serverName = "name.test"
      } == "name.test"
    )
  }
}
