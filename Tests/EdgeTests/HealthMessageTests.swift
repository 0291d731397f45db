import Testing

@testable import Edge

/// The messages of gRPC's health protocol, honest and hostile.
@Suite struct HealthMessageTests {
  @Test func `a request is the message of the protocol`() {
    #expect(GRPCHealth.request(service: "") == [0, 0, 0, 0, 0])
    #expect(GRPCHealth.request(service: "ab") == [0, 0, 0, 0, 4, 0x0A, 2, 0x61, 0x62])
    let long = GRPCHealth.request(service: String(repeating: "x", count: 200))
    #expect(long.prefix(8) == [0, 0, 0, 0, 203, 0x0A, 0xC8, 0x01])
  }

  @Test func `only SERVING is health`() {
    #expect(GRPCHealth.isServing([0, 0, 0, 0, 2, 0x08, 1]))
    for status in [0, 2, 3, 0x7F] as [UInt8] {
      #expect(!GRPCHealth.isServing([0, 0, 0, 0, 2, 0x08, status]))
    }
    // UNKNOWN is the default, which is left out.
    #expect(!GRPCHealth.isServing([0, 0, 0, 0, 0]))
    // The last one counts, and other fields are passed over.
    #expect(GRPCHealth.isServing([0, 0, 0, 0, 4, 0x08, 2, 0x08, 1]))
    #expect(GRPCHealth.isServing([0, 0, 0, 0, 7, 0x12, 1, 9, 0x18, 5, 0x08, 1]))
    #expect(GRPCHealth.isServing([0, 0, 0, 0, 7, 0x2D, 1, 2, 3, 4, 0x08, 1]))
  }

  @Test func `what is cut short, too long or no message is no health`() {
    let good: [UInt8] = [0, 0, 0, 0, 2, 0x08, 1]
    for count in 0..<good.count { #expect(!GRPCHealth.isServing(Array(good[..<count]))) }
    #expect(!GRPCHealth.isServing(good + [0]))
    #expect(!GRPCHealth.isServing([1, 0, 0, 0, 2, 0x08, 1]), "compressed")
    #expect(!GRPCHealth.isServing([0, 0xFF, 0xFF, 0xFF, 0xFF, 0x08, 1]))
    #expect(!GRPCHealth.isServing([0, 0, 0, 0, 2, 0x08, 0x80]))
    #expect(!GRPCHealth.isServing([0, 0, 0, 0, 3, 0x12, 0xFF, 0x08]))
    #expect(!GRPCHealth.isServing([0, 0, 0, 0, 1, 0x03]), "a group")
    #expect(!GRPCHealth.isServing([0, 0, 0, 0, 2, 0x00, 1]), "field 0")
    let endless = [UInt8](repeating: 0xFF, count: 20)
    #expect(!GRPCHealth.isServing([0, 0, 0, 0, 20] + endless))
    #expect(!GRPCHealth.isServing([0, 0, 0, 0, 11, 0x12] + endless.prefix(10)))
  }

  @Test func `any bytes are judged without a trap`() {
    var state: UInt64 = 9
    for _ in 0..<20_000 {
      var bytes: [UInt8] = [0, 0, 0, 0]
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let count = Int(state >> 60)
      bytes.append(UInt8(count))
      for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: state >> (index * 4))) }
      _ = GRPCHealth.isServing(bytes)
    }
  }
}
