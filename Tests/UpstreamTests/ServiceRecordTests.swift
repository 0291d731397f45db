import Testing
import Upstream

/// Records of RFC 2782 as endpoints.
@Suite struct ServiceRecordTests {
  private static func record(
    _ target: String,
    _ port: UInt16 = 80,
    priority: UInt16 = 0,
    weight: UInt16 = 0
  ) -> ServiceRecord {
    ServiceRecord(target: target, port: port, priority: priority, weight: weight)
  }

  private static func told(_ records: [ServiceRecord], port: UInt16? = nil) -> [String] {
    ServiceRecord.endpoints(records, port: port).map { endpoint in
      guard case .host(let host, let port) = endpoint.address else { return "" }
      return "\(host):\(port) \(endpoint.priority)/\(endpoint.weight)"
    }
  }

  @Test func `priorities become ranks, and those beyond the eighth share the last`() {
    let records = (0..<10).map { Self.record("n\($0)", priority: UInt16(65_535 - $0 * 100)) }

    let ranks = ServiceRecord.endpoints(records).map(\.priority)

    #expect(ranks == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7])
    #expect(Self.told(records).first == "n9:80 0/1")
  }

  @Test func `weights stay as they are while they fit`() {
    let records = [
      Self.record("a", weight: 1), Self.record("b", weight: 1_000),
      Self.record("c", priority: 1, weight: 7),
    ]

    #expect(Self.told(records) == ["a:80 0/1", "b:80 0/1000", "c:80 1/7"])
  }

  @Test func `weights that do not fit are measured by the greatest of their priority`() {
    let records = [
      Self.record("a", weight: 60_000), Self.record("b", weight: 30_000),
      Self.record("c", weight: 1), Self.record("d", priority: 1, weight: 5),
    ]

    #expect(Self.told(records) == ["a:80 0/1000", "b:80 0/500", "c:80 0/1", "d:80 1/5"])
  }

  @Test func `a weight of 0 is hardly any beside others, and like any among its own`() {
    #expect(
      Self.told([Self.record("a", weight: 0), Self.record("b", weight: 2)])
        == ["a:80 0/1", "b:80 0/1000"]
    )
    #expect(Self.told([Self.record("a"), Self.record("b")]) == ["a:80 0/1", "b:80 0/1"])
  }

  @Test func `who is not there, has no port or comes twice is left out`() {
    let records = [
      Self.record(""), Self.record("a", 0), Self.record("b", weight: 3),
      Self.record("b", weight: 9), Self.record("b", priority: 4),
    ]

    #expect(Self.told(records) == ["b:80 0/9"])
    #expect(Self.told([Self.record("")]) == [])
  }

  @Test func `a port of the configuration takes the place of those of records`() {
    let records = [Self.record("a", 0), Self.record("b", 81)]

    #expect(Self.told(records, port: 9) == ["a:9 0/1", "b:9 0/1"])
  }

  @Test func `the order of records changes nothing`() {
    let records = (0..<6).map {
      Self.record("n\($0 / 2)", UInt16(80 + $0), priority: UInt16($0 % 3), weight: UInt16($0))
    }

    #expect(Self.told(records) == Self.told(records.reversed()))
  }
}
