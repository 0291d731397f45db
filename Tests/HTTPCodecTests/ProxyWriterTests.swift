import HTTPCodec
import Testing

struct ProxyWriterTests {
  private static let v4 = ProxyAddress(ipv4: 0x0A00_00FF, port: 1)
  private static let v6 = ProxyAddress(high: 0x2001_0DB8_0000_00AB, low: 0xFFFF, port: 65_535)

  private func written(_ body: (UnsafeMutablePointer<UInt8>) -> Int) -> [UInt8] {
    var room = [UInt8](repeating: 0xEE, count: ProxyWriter.maximumBytes)
    let count = body(&room)
    return Array(room[..<count])
  }

  @Test func `a line of version 1 has the standard's form`() {
    func line(_ source: ProxyAddress?, _ destination: ProxyAddress) -> String {
      let bytes = written {
        ProxyWriter.version1(source: source, destination: destination, into: $0)
      }
      return String(decoding: bytes, as: UTF8.self)
    }

    #expect(line(Self.v4, Self.v4) == "PROXY TCP4 10.0.0.255 10.0.0.255 1 1\r\n")
    #expect(
      line(Self.v6, Self.v4)
        == "PROXY TCP6 2001:db8:0:ab:0:0:0:ffff 0:0:0:0:0:ffff:a00:ff 65535 1\r\n"
    )
    #expect(line(nil, Self.v4) == "PROXY UNKNOWN\r\n")
    let longest = ProxyAddress(high: .max, low: .max, port: .max)
    #expect(line(longest, longest).utf8.count == 104)
  }

  @Test func `what is written is read again`() {
    let addresses = [
      Self.v4, Self.v6, ProxyAddress(ipv4: 0, port: 0),
      ProxyAddress(high: .max, low: .max, port: 9),
      ProxyAddress(),
    ]
    for source in addresses {
      for destination in addresses {
        for form in 0..<3 {
          let bytes = written { room in
            form == 0
              ? ProxyWriter.version1(source: source, destination: destination, into: room)
              : ProxyWriter.version2(
                source: source,
                destination: destination,
                hasChecksum: form == 2,
                into: room
              )
          }
          var prelude = ProxyPrelude()
          let outcome = ProxyParser.parse(bytes, count: bytes.count, into: &prelude)
          #expect(outcome == .complete(bytes.count))
          #expect(prelude.kind == .address && prelude.version == (form == 0 ? 1 : 2))
          #expect(prelude.source == source && prelude.destination == destination)
        }
      }
    }
  }

  @Test func `a connection without a client's address is local in version 2`() {
    for hasChecksum in [false, true] {
      let bytes = written {
        ProxyWriter.version2(source: nil, destination: Self.v4, hasChecksum: hasChecksum, into: $0)
      }
      var prelude = ProxyPrelude()

      #expect(
        ProxyParser.parse(bytes, count: bytes.count, into: &prelude) == .complete(bytes.count)
      )
      #expect(prelude.kind == .local && bytes.count == (hasChecksum ? 23 : 16))
    }
  }
}
