import Configuration
import Testing

/// Files that list endpoints.
@Suite struct EndpointFileTests {
  private static func faults(_ text: String, allowsUnix: Bool = true) -> [String] {
    do {
      _ = try EndpointFile.read(text, file: "e.yaml", allowsUnix: allowsUnix)
      return []
    } catch {
      return (error.problem.map { [$0] } ?? []) + error.faults.map { $0.description(in: "e.yaml") }
    }
  }

  @Test func `addresses, names and sockets are listed with weight and priority`() throws {
    let entries = try EndpointFile.read(
      """
      endpoints:
        - 10.0.1.5:8080
        - {address: "[fd00::1]:8080", weight: 3}
        - {address: shop.internal:80, priority: 1}
        - unix:/run/shop.sock
      """,
      file: "e.yaml"
    )

    #expect(
      entries.map(\.endpoint) == [
        .host("10.0.1.5", port: 8_080), .host("fd00::1", port: 8_080),
        .host("shop.internal", port: 80), .unix("/run/shop.sock"),
      ]
    )
    #expect(entries.map(\.traits.weight) == [1, 3, 1, 1])
    #expect(entries.map(\.traits.priority) == [0, 0, 1, 0])
  }

  @Test func `JSON is read as well`() throws {
    let entries = try EndpointFile.read(
      "{\"endpoints\": [{\"address\": \"10.0.1.5:8080\", \"weight\": 2}, \"10.0.1.6:8080\"]}",
      file: "e.json"
    )

    #expect(entries.map(\.endpoint.description) == ["10.0.1.5:8080", "10.0.1.6:8080"])
  }

  @Test func `an empty list is a list; who takes it decides`() throws {
    #expect(try EndpointFile.read("endpoints: []\n", file: "e.yaml") == [])
  }

  @Test(arguments: [
    ("", "e.yaml:1:1: the file is empty; it needs at least endpoints"),
    ("- 10.0.1.5:80", "e.yaml:1:1: must be a map; write its fields on lines of their own"),
    ("{}", "e.yaml:1:1: needs endpoints, a list such as [10.0.1.5:8080]"),
    (
      "endpoints: 10.0.1.5:80",
      "e.yaml:1:12: endpoints: must be a list; write [a, b] or lines that begin with a dash"
    ),
    (
      "endpoints:\n  - 10.0.1.5:80\n  - {address: 10.0.1.5:80}",
      "e.yaml:3:15: endpoints[1].address: the endpoint 10.0.1.5:80 stands in line 2 already"
    ),
    (
      "endpoints:\n  - {address: 10.0.1.5:80, weight: 0}",
      "e.yaml:2:36: endpoints[0].weight: is 0; must be from 1 to 1000"
    ),
    (
      "endpoints: [{address: 10.0.1.5:80, weigt: 1}]",
      "e.yaml:1:36: endpoints[0].weigt: unknown field; did you mean weight?"
    ),
    (
      "endpoints: [10.0.1.5]",
      "e.yaml:1:13: endpoints[0]: must be an address or a name with a port, such as 10.0.1.5:8080"
    ),
    (
      "endpoints: [\"10.0.1.5:0\"]",
      "e.yaml:1:13: endpoints[0]: must be an address or a name with a port, such as 10.0.1.5:8080"
    ),
    ("endpoint: []", "e.yaml:1:1: endpoint: unknown field; did you mean endpoints?"),
  ])
  func `what makes no sense is refused where it stands`(_ text: String, _ fault: String) {
    #expect(Self.faults(text).contains(fault), "\(Self.faults(text))")
  }

  @Test func `a UNIX socket is refused where a certificate could not name it`() {
    let faults = Self.faults("endpoints: [unix:/run/shop.sock]", allowsUnix: false)

    #expect(faults.count == 1)
    #expect(faults.first?.hasPrefix("e.yaml:1:13: endpoints[0]: a UNIX socket has no name") == true)
  }

  @Test func `more endpoints or bytes than there is use for are refused`() {
    let most = EndpointFile.maximumEndpoints
    let lines = (0...most).map { "- 10.0.\($0 / 250).\($0 % 250):80\n" }

    let faults = Self.faults("endpoints:\n" + lines.joined())
    let fits = Self.faults("endpoints:\n" + lines.dropLast().joined())
    let huge = Self.faults("# " + String(repeating: "x", count: EndpointFile.maximumBytes))

    #expect(
      faults == ["e.yaml:2:1: endpoints: lists \(most + 1) endpoints; at most \(most) are possible"]
    )
    #expect(fits == [])
    #expect(huge == ["has more than \(EndpointFile.maximumBytes) bytes"])
  }

  @Test func `a file that is cut off or damaged anywhere is read or refused, and ends nothing`() {
    let whole = Array(
      "endpoints:\n  - {address: \"10.0.1.5:80\", weight: 3}\n  - unix:/a\n  - b.test:1\n".utf8
    )

    for cut in 0...whole.count {
      _ = Self.faults(String(decoding: whole[..<cut], as: UTF8.self))
      guard cut < whole.count else { continue }
      for byte in [0, 0x0A, 0x22, 0x26, 0x2A, 0x5B, 0x7B, 0x80, 0xFF] as [UInt8] {
        var damaged = whole
        damaged[cut] = byte
        _ = Self.faults(String(decoding: damaged, as: UTF8.self))
      }
    }
  }
}
