import HTTPCodec
import Testing

struct WebSocketAcceptTests {
  private func answer(_ key: String) -> String {
    let bytes = Array(key.utf8) + [0]
    return bytes.withUnsafeBufferPointer { buffer in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: WebSocketAccept.length) { output in
        guard let key = buffer.baseAddress, let place = output.baseAddress else { return "" }
        WebSocketAccept.write(key: key, count: buffer.count - 1, to: place)
        return String(decoding: output, as: UTF8.self)
      }
    }
  }

  @Test
  func `RFC 6455 1.3: the example's key gets the example's answer`() {
    #expect(answer("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  }

  // By OpenSSL: printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' KEY | sha1 | base64.
  @Test(arguments: [
    ("", "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="),
    ("k", "cai0HFWL7DEHZkyHxdyv1Pn3R6M="),
    ("kkkkkkkkkkkkkkkkkk", "qChxkF3JDYNASeew3saQqqTWi7o="),
    ("kkkkkkkkkkkkkkkkkkk", "tWclcP21hrR+xgjYVswtQRW71GQ="),
    ("kkkkkkkkkkkkkkkkkkkk", "tSsjsIAvEVIQ+IC5K8+T/OkG8nU="),
    ("kkkkkkkkkkkkkkkkkkkkkkkkkkk", "qUNe7W8rvas6tQS5F4QBTf/JpvE="),
    ("kkkkkkkkkkkkkkkkkkkkkkkkkkkk", "x9bmfLYIxLMaaT5h0sFuRlAhhb8="),
    (
      "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
      "d3g+v0T8vq/Wjewzan1FGbXRhkk="
    ),
  ])
  func `keys of any length are answered as OpenSSL would`(key: String, expected: String) {
    #expect(answer(key) == expected)
  }
}
