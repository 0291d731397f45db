import TLS
import Testing

/// When the bytes of a client are worth a handshake.
struct HelloScanTests {
  /// How many bytes of `bytes` it takes, fed in pieces of `piece`; `nil` when all are too few.
  private func needed(_ bytes: [UInt8], by piece: Int) -> Int? {
    var scan = HelloScan()
    var index = 0
    while index < bytes.count {
      let part = Array(bytes[index..<min(bytes.count, index + piece)])
      index += part.count
      let isReady = part.withUnsafeBufferPointer { buffer in
        buffer.baseAddress.map { scan.isReady(after: $0, count: buffer.count) } ?? false
      }
      if isReady { return index }
    }
    return nil
  }

  private func hello() throws -> [UInt8] {
    let client = Peer(
      TLSSession(client: try Contexts.client(), host: "edge.test")
    )
    client.handshake(nil)
    return client.sent
  }

  @Test func `a ClientHello is ready with its last byte`() throws {
    let hello = try hello()
    for piece in [1, 2, 3, 7, 100, 10_000] {
      #expect(needed(Array(hello.dropLast()), by: piece) == nil)
      let found = try #require(needed(hello, by: piece))
      #expect(found == hello.count)
    }
    #expect(needed(hello + [23, 3, 3, 0, 1, 0], by: 10_000) != nil, "what follows is no matter")
  }

  @Test func `it may come in records of any size`() throws {
    let message = Array(try hello()[5...])
    for size in [1, 2, 3, 4, 5, 100] {
      var bytes: [UInt8] = []
      for start in stride(from: 0, to: message.count, by: size) {
        let part = message[start..<min(message.count, start + size)]
        // Records without content are OpenSSL's to refuse.
        bytes += [22, 3, 1, 0, 0]
        bytes += [22, 3, 1, 0, UInt8(part.count)] + part
      }
      for piece in [1, 6, 1_000] {
        #expect(needed(Array(bytes.dropLast()), by: piece) == nil)
        #expect(needed(bytes, by: piece) == bytes.count)
      }
    }
  }

  @Test func `what no ClientHello begins with is ready at once`() {
    let samples: [([UInt8], Int)] = [
      (Array("GET / HTTP/1.1".utf8), 2), ([0], 1), ([22, 2], 2), ([22, 3, 1, 0, 4, 2, 0, 0, 0], 9),
      ([22, 3, 1, 0x40, 0, 1, 0, 0x40, 1], 9), ([22, 3, 1, 0, 1, 1, 21], 7),
    ]
    for (bytes, count) in samples {
      #expect(needed(bytes, by: 1) == count)
      #expect(needed(bytes, by: 100) != nil)
      #expect(needed(Array(bytes.prefix(count - 1)), by: 100) == nil)
    }
  }
}
