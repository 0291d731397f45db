import Testing
import Units
import Upstream

/// Messages of name servers, honest and not.
@Suite struct ServiceAnswerTests {
  private static func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + $0.utf8 } + [0]
  }

  private static func number(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

  private static func record(
    type: Int = 33,
    ttl: [UInt8] = [0, 0, 0, 60],
    owner: [UInt8] = [0xC0, 12],
    _ data: [UInt8]
  ) -> [UInt8] {
    owner + number(type) + number(1) + ttl + number(data.count) + data
  }

  private static func service(_ target: [UInt8], port: Int = 80) -> [UInt8] {
    number(1) + number(2) + number(port) + target
  }

  /// A message with one question and these answers.
  private static func message(_ records: [[UInt8]], answers: Int? = nil) -> [UInt8] {
    number(7) + [0x81, 0x80] + number(1) + number(answers ?? records.count) + [0, 0, 0, 0]
      + name("_http._tcp.shop.test") + number(33) + number(1) + records.joined()
  }

  @Test func `records are read with the smallest TTL, names in lower case`() {
    let answer = ServiceAnswer(
      Self.message([
        Self.record(type: 5, ttl: [0, 0, 0, 9], Self.name("other.test")),
        Self.record(Self.service(Self.name("A.Shop.TEST"), port: 8_080)),
        // "b" before what the question says behind its first two labels.
        Self.record(Self.service([1, 0x62, 0xC0, 23], port: 81)),
        Self.record(Self.service([0])),
      ])
    )

    #expect(answer?.ttl == 9)
    #expect(
      answer?.records == [
        ServiceRecord(target: "a.shop.test", port: 8_080, priority: 1, weight: 2),
        ServiceRecord(target: "b.shop.test", port: 81, priority: 1, weight: 2),
        ServiceRecord(target: "", port: 80, priority: 1, weight: 2),
      ]
    )
  }

  @Test func `a TTL with its first bit set is none`() {
    let answer = ServiceAnswer(
      Self.message([Self.record(ttl: [0xFF, 0, 0, 0], Self.service(Self.name("a")))])
    )

    #expect(answer?.ttl == 0)
  }

  static let lies: [[UInt8]] = [
    [], [0x81], message([]), message([record(type: 1, [10, 0, 0, 1])]),
    // More answers than there are, lengths that reach too far, not far enough, or beyond the name.
    message([record(service(name("a")))], answers: 2),
    message([record(service(name("a")))], answers: 9_000),
    Array(message([record(service(name("a")))]).dropLast()),
    message([record([0, 1, 0, 2, 0])]), message([record(service(name("a")) + [0])]),
    message([record(service([5, 0x61]))]),
    // Pointers to themselves, ahead, in circles, beyond the end, and lengths that mean nothing.
    message([record(service([0xC0, 62]))]), message([record(service([0xFF, 0xFF]))]),
    message([record(owner: [0xC0, 38], service(name("a")))]),
    message([record(service([1, 0x61, 0xC0, 56]))]), message([record(service([0x40, 0]))]),
    // Names that no host has, or that are too long.
    message([record(service([3, 0x61, 0x2F, 0x62, 0]))]), message([record(service([1, 0, 0]))]),
    message([record(service([1, 0x2E, 0]))]),
    message([
      record(
        service(name((0..<5).map { _ in String(repeating: "x", count: 60) }.joined(separator: ".")))
      )
    ]),
  ]

  @Test(arguments: lies.indices)
  func `what does not add up is no answer`(_ index: Int) {
    #expect(ServiceAnswer(Self.lies[index]) == nil)
  }

  @Test func `messages cut off or damaged anywhere are read or refused, and end nothing`() {
    let whole = Self.message([
      Self.record(Self.service(Self.name("a.shop.test"))),
      Self.record(Self.service([1, 0x62, 0xC0, 23])),
    ])
    var random = SplitMix64(seed: 11)

    for cut in 0..<whole.count { #expect(ServiceAnswer(Array(whole[..<cut])) == nil) }
    for _ in 0..<20_000 {
      var damaged = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] =
          UInt8.random(in: 0...255, using: &random)
      }
      guard let answer = ServiceAnswer(damaged) else { continue }
      #expect(answer.ttl >= 0)
      #expect(answer.records.allSatisfy { $0.target.utf8.count <= 253 })
      _ = ServiceRecord.endpoints(answer.records)
    }
  }
}
