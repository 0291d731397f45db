import Foundation
import Reactor
import Telemetry
import Testing
import Units

@testable import Edge

/// What a writer of a given room wrote, and whether it ran out.
private func written(_ capacity: Int, _ body: (inout ByteWriter) -> Void) -> (String, Bool) {
  let room = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity + 16)
  defer { room.deallocate() }
  room.initialize(repeating: 0xEE, count: capacity + 16)
  var writer = ByteWriter(room, capacity: capacity)
  body(&writer)
  #expect((capacity..<capacity + 16).allSatisfy { room[$0] == 0xEE })
  let bytes = UnsafeBufferPointer(start: room, count: writer.count)
  return (String(decoding: bytes, as: UTF8.self), writer.isFull)
}

struct AddressTests {
  @Test func `a record names the client as the log's formatter reads it`() throws {
    let four = ClientAddress(try #require(KernelAddress(ip: "192.0.2.7", port: 1)).ip)
    let six = ClientAddress(try #require(KernelAddress(ip: "2001:db8::7", port: 1)).ip)

    #expect(four.family == .ipv4)
    #expect(four.high == 0xC000_0207_0000_0000)
    #expect(six.family == .ipv6)
    #expect(six.high == 0x2001_0DB8_0000_0000)
    #expect(six.low == 7)
  }

  @Test(arguments: 0...40)
  func `a writer never writes past its end`(capacity: Int) {
    let (text, isFull) = written(capacity) { writer in
      writer.text("abc")
      writer.decimal(.max)
      writer.fixedHexadecimal(0xAB)
      writer.crlf()
      writer.byte(33)
    }
    #expect(isFull == (capacity < 42))
    #expect(text.utf8.count <= capacity)
  }

  @Test func `numbers read as the library writes them`() {
    var random = SplitMix64(seed: 8)
    let edges: [UInt64] = [0, 9, 10, 99, 100, 999, 1_000, 1_001, 9_999, 10_000, .max]
    for value in edges + (0..<2_000).map({ random.next() >> ($0 % 64) }) {
      #expect(written(64) { $0.decimal(value) }.0 == String(value))
      #expect(written(64) { $0.hexadecimal(value) }.0 == String(value, radix: 16))
      let digits = String(value, radix: 16)
      let padded = String(repeating: "0", count: 16 - digits.count) + digits
      #expect(written(64) { $0.fixedHexadecimal(value) }.0 == padded)
    }
  }

  @Test func `addresses read as the library writes them`() {
    var random = SplitMix64(seed: 3)
    for _ in 0..<5_000 {
      // Groups are zero half of the time, so that runs of zeros of each length come up.
      var words: [UInt64] = [0, 0]
      for group in 0..<8 where Bool.random(using: &random) {
        let value = (random.next() & 0xFFFF) >> (group % 3 * 4)
        words[group / 4] |= value << (group % 4 * 16)
      }
      let address = IPBytes(high: words[0], low: words[1])
      // The library writes IPv4-compatible addresses, long deprecated, in dots.
      guard words[0] != 0 else { continue }
      #expect(written(64) { AddressText.write(address, &$0) }.0 == address.description)
    }
    let v4 = IPBytes(high: 0, low: 0xFFFF_0A00_00FF)
    #expect(written(64) { AddressText.write(v4, &$0) }.0 == "10.0.0.255")
    for octet in 0...255 as ClosedRange<UInt64> {
      let address = IPBytes(high: 0, low: 0xFFFF_0000_0000 | octet * 0x0101_0101)
      let text = Array(repeating: "\(octet)", count: 4).joined(separator: ".")
      #expect(written(text.utf8.count) { AddressText.write(address, &$0) }.0 == text)
    }
  }

  @Test func `a range holds what its prefix says`() {
    let net = IPBytes(high: 0, low: 0xFFFF_0A01_02FF)
    #expect(AddressRange(base: net, prefix: 128).contains(net))
    #expect(AddressRange(base: net, prefix: 120).contains(IPBytes(high: 0, low: 0xFFFF_0A01_0200)))
    #expect(!AddressRange(base: net, prefix: 120).contains(IPBytes(high: 0, low: 0xFFFF_0A01_0300)))
    #expect(!AddressRange(base: net, prefix: 96).contains(IPBytes(high: 0, low: 1)))
    #expect(!AddressRange(base: net, prefix: 64).contains(IPBytes(high: 1, low: 0)))
    #expect(AddressRange(base: net, prefix: 64).contains(IPBytes(high: 0, low: 1)))
    #expect(AddressRange(base: net, prefix: 0).contains(IPBytes(high: .max, low: 1)))
  }

  @Test func `the date line has the form of RFC 9110 and changes at the second`() throws {
    var field = DateField()
    field.refresh(at: Instant(0))
    let line = String(
      decoding: UnsafeBufferPointer(start: field.bytes, count: DateField.length),
      as: UTF8.self
    )
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.timeZone = TimeZone(identifier: "GMT")
    format.dateFormat = "'date: 'EEE, dd MMM yyyy HH:mm:ss' GMT\r\n'"
    let date = try #require(format.date(from: line))
    #expect(abs(date.timeIntervalSinceNow) < 3_600)
    let offset = field.wallOffset
    // Within the second nothing is read anew; after it the offset from the later instant is.
    field.refresh(at: Instant(-1))
    #expect(field.wallOffset == offset)
    field.refresh(at: Instant(2_000_000_000))
    #expect(field.wallOffset != offset)
  }
}
