import Foundation
import HTTPCodec
import Testing

/// The vectors of http2jp, which other implementations are held to as well.
struct H2VectorTests {
  /// A frame, with the errors one of which it must give, or none.
  struct FrameVector: Decodable, CustomTestStringConvertible {
    var error: [UInt32]?
    var wire: String
    var description: String
    var testDescription: String { description }

    var bytes: [UInt8] { hexadecimal(wire) }
  }

  /// Header blocks that share one table.
  struct Story: Decodable {
    struct Case: Decodable {
      var wire: String
      var headers: [[String: String]]
    }
    var cases: [Case]
  }

  private static func vectors(_ folder: String) throws -> [FrameVector] {
    try files("http2-frame/" + folder).map {
      try JSONDecoder().decode(FrameVector.self, from: Data(contentsOf: $0))
    }
  }

  private static func files(_ folder: String) throws -> [URL] {
    let root = try #require(Bundle.module.resourceURL).appendingPathComponent("Vectors/" + folder)
    let names = try FileManager.default.contentsOfDirectory(atPath: root.path)
    return names.filter { $0.hasSuffix(".json") }.sorted().map { root.appendingPathComponent($0) }
  }

  @Test func `a faulty frame gives the error that it must give`() throws {
    let vectors = try Self.vectors("error")
    #expect(vectors.count == 22)

    for vector in vectors {
      // Only a server may send PUSH_PROMISE; a client gets it.
      let isPush = vector.bytes[3] == 0x5
      let peer = H2Peer(isServer: !isPush)
      if isPush { _ = peer.request() } else { peer.receive(H2Frames.preface) }
      _ = peer.send()
      peer.receive(H2Frames.settings())
      _ = peer.send()
      peer.receive(vector.bytes)
      let code = peer.send().goAway

      #expect(vector.error?.contains(code ?? 0) == true, "\(vector.description): \(code ?? 0)")
      #expect(peer.session.isFinished)
    }
  }

  @Test(arguments: ["ping", "settings", "goaway", "priority"])
  func `a right frame is no violation`(_ folder: String) throws {
    for vector in try Self.vectors(folder) {
      let peer = H2Peer(isServer: true)
      peer.receive(H2Frames.hello)
      _ = peer.send()
      var bytes = vector.bytes
      // The last stream of GOAWAY must be one that the receiver could have opened.
      if folder == "goaway" { bytes.replaceSubrange(9..<13, with: [0, 0, 0, 0]) }
      peer.receive(bytes)
      let answer = H2Frame.read(peer.send())

      #expect(peer.session.failure == nil, "\(vector.description)")
      if folder == "ping" { #expect(answer.first?.payload == Array("deadbeef".utf8)) }
      if folder == "settings" { #expect(answer.first?.flags == H2Frames.acknowledgement) }
    }
  }

  @Test func `requests are decoded as others decode them, or refused`() throws {
    var delivered = 0
    for file in try Self.files("hpack/requests") {
      let server = H2Peer(isServer: true)
      server.receive(H2Frames.hello)
      for (index, item) in try Self.story(file).cases.enumerated() {
        let id = UInt32(index * 2 + 1)
        server.receive(H2Frames.frame(0x1, 0x5, id, hexadecimal(item.wire)))
        if isRefused(item.headers) {
          #expect(server.notes.last == .malformed(.connectionSpecificField))
        } else {
          let request = try #require(server.requests[Int32(id)])
          #expect(lines(request) == lines(item.headers))
          delivered += 1
        }
      }
    }
    #expect(delivered == 5)
  }

  @Test func `responses are decoded as others decode them, or refused`() throws {
    var delivered = 0
    for file in try Self.files("hpack/responses") {
      let client = H2Peer(isServer: false)
      for item in try Self.story(file).cases {
        let id = client.request()
        _ = client.send()
        let first = delivered == 0 && id == 1 ? H2Frames.settings() : []
        let frame = H2Frames.frame(0x1, H2Frames.endHeaders, UInt32(id), hexadecimal(item.wire))
        client.receive(first + frame)
        if isRefused(item.headers) {
          guard case .malformed = client.notes.last else {
            Issue.record("\(item.headers) was not refused")
            continue
          }
        } else {
          let all = item.headers.flatMap { $0.map { ($0.key, $0.value) } }
          let status = all.first { $0.0 == ":status" }.flatMap { Int($0.1) } ?? 0
          let lines = all.filter { $0.0 != ":status" }.map { $0.0 + "=" + $0.1 }
          #expect(client.notes.last == .response(id, status, lines, isLast: false))
          delivered += 1
        }
        if let stream = client.indices[id] { client.session.reset(stream, .cancel) }
        _ = client.send()
      }
    }
    #expect(delivered == 90)
  }

  private static func story(_ file: URL) throws -> Story {
    try JSONDecoder().decode(Story.self, from: Data(contentsOf: file))
  }

  /// The stories were recorded from HTTP/1.1, so some have what HTTP/2 forbids; the table must be
  /// kept in step all the same.
  private func isRefused(_ headers: [[String: String]]) -> Bool {
    let forbidden = [
      "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
    ]
    return headers.contains { $0.keys.contains { forbidden.contains($0) } }
  }

  /// A request as a list in order, the pseudo-header fields and Host first.
  private func lines(_ request: H2RequestCopy) -> [String] {
    [String(request.text.prefix { $0 != " " }), "\(request.scheme)", request.target]
      + request.lines
  }

  private func lines(_ headers: [[String: String]]) -> [String] {
    let all = headers.flatMap { $0.map { ($0.key, $0.value) } }
    func value(_ name: String) -> String { all.first { $0.0 == name }?.1 ?? "" }
    return [value(":method"), value(":scheme"), value(":path"), "host=" + value(":authority")]
      + all.filter { !$0.0.hasPrefix(":") }.map { $0.0 + "=" + $0.1 }
  }
}

private func hexadecimal(_ text: String) -> [UInt8] {
  let digits = text.compactMap { $0.hexDigitValue }
  return stride(from: 0, to: digits.count - 1, by: 2).map {
    UInt8(digits[$0] << 4 | digits[$0 + 1])
  }
}
