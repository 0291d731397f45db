import Admission
import Configuration
import Foundation
import Reactor
import Testing
import Units
import Upstream

@testable import Edge

/// What limits have learned, as it is written and read back, and what of it is refused.
@Suite struct LearnedStateTests {
  private static let now: Int64 = 1_795_302_000

  private static func service(_ name: String = "orders", at moment: Int64 = now)
    -> LearnedState.Service
  {
    LearnedState.Service(
      name: name,
      kind: "latency-gradient",
      learnedAt: moment,
      limit: LearnedLimit(
        limit: 41.25,
        baseline: 0.1 + 0.2,
        meanLatency: 1.0 / 3,
        meanWeight: 1e-7,
        usualLatency: 0.025
      ),
      routes: [LearnedState.Route(name: "checkout", weight: 1.0 / 7)]
    )
  }

  private static func fault(_ bytes: [UInt8]) -> LearnedFault? {
    do {
      _ = try LearnedState(bytes)
      return nil
    } catch {
      return error
    }
  }

  /// A text with the hash that belongs to it.
  private static func sealed(_ lines: String) -> [UInt8] {
    var hash: UInt64 = 14_695_981_039_346_656_037
    for byte in lines.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
    let text = String(hash, radix: 16)
    return Array(
      (lines + "end " + String(repeating: "0", count: 16 - text.count) + text + "\n").utf8
    )
  }

  @Test func `what is written reads back bit by bit`() throws {
    let state = LearnedState(
      savedAt: Self.now,
      services: [Self.service(), Self.service("catalog", at: Self.now - 7)]
    )

    #expect(try LearnedState(Array(state.text.utf8)) == state)
    let none = LearnedState(savedAt: 0, services: [])
    #expect(try LearnedState(Array(none.text.utf8)) == none)
  }

  @Test func `no half of it is taken for the whole, and no bit may fall over`() {
    let bytes = Array(LearnedState(savedAt: Self.now, services: [Self.service()]).text.utf8)
    for count in 0..<bytes.count { #expect(Self.fault(Array(bytes[..<count])) != nil) }
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        #expect(Self.fault(changed) != nil, "bit \(bit) of byte \(index)")
      }
    }
    #expect(Self.fault(bytes + [0x0A]) == .damaged)
    #expect(Self.fault(bytes + bytes) == .damaged)
  }

  @Test func `another version and too large a file are told from a damaged one`() {
    #expect(Self.fault(Self.sealed("spillway-learned 3\nsaved 1\n")) == .otherVersion)
    #expect(Self.fault(Array("PNG".utf8)) == .damaged)
    let large = [UInt8](repeating: 0x20, count: LearnedState.maximumBytes + 1)
    #expect(Self.fault(large) == .tooLarge)
  }

  @Test(arguments: [
    "", "saved\n", "saved x\n", "saved -1\n", "saved 99999999999999\n", "saved 1\nsaved 1\n",
    "saved 1\nroute a 1\n", "saved 1\nelse\n", "saved 1\n\n",
    "saved 1\nservice a b 1 2 3 4 5\n", "saved 1\nservice a b 1 2 3 4 5 6 7\n",
    "saved 1\nservice a b 1 nan 3 4 5 6\n", "saved 1\nservice a b 1 inf 3 4 5 6\n",
    "saved 1\nservice a b 1 -2 3 4 5 6\n", "saved 1\nservice a b 1 2e9 3 4 5 6\n",
    "saved 1\nservice a b x 2 3 4 5 6\n", "saved 1\nservice  b 1 2 3 4 5 6\n",
    "saved 1\nservice a\tb c 1 2 3 4 5 6\n",
    "saved 1\nservice a b 1 2 3 4 5 6\nservice a b 1 2 3 4 5 6\n",
    "saved 1\nservice a b 1 2 3 4 5 6\nroute r 0\n",
    "saved 1\nservice a b 1 2 3 4 5 6\nroute r -1\n",
    "saved 1\nservice a b 1 2 3 4 5 6\nroute r 1 1\n",
    "saved 1\nservice \u{FF} b 1 2 3 4 5 6\n",
  ])
  func `nonsense under a hash that fits is refused whole`(_ lines: String) {
    #expect(Self.fault(Self.sealed("spillway-learned 1\n" + lines)) == .damaged)
  }

  // MARK: Endpoints

  private static func listing(at moment: Int64 = now) -> LearnedState {
    var state = LearnedState(savedAt: moment, services: [service()])
    state.lists = [
      LearnedState.List(
        service: "shop",
        heardAt: moment - 90_000,
        endpoints: [
          ListedEndpoint(.host("a.shop.internal", port: 8_080), weight: 1_000, priority: 7),
          ListedEndpoint(.host("fd00::7", port: 1), zone: "eu-1a"),
          ListedEndpoint(.unix("/run/shop.sock")),
        ]
      ),
      LearnedState.List(
        service: "catalog",
        heardAt: 0,
        endpoints: [ListedEndpoint(.host("10.0.0.1", port: 65_535))]
      ),
    ]
    state.names = [
      LearnedState.Name(
        host: "a.shop.internal",
        addresses: [
          IPBytes(high: 0, low: 0xFFFF_0A00_0001), IPBytes(high: 0xFD00 << 48, low: 9),
        ]
      )
    ]
    return state
  }

  @Test func `lists of endpoints and names read back as they were`() throws {
    let state = Self.listing()
    #expect(state.text.contains("\nendpoint shop 1000 7 1795212000 a.shop.internal:8080\n"))
    #expect(state.text.contains(" [fd00::7]:1 eu-1a\n"))
    #expect(state.text.contains("\nname a.shop.internal 10.0.0.1 fd00::9\n"))

    #expect(try LearnedState(Array(state.text.utf8)) == state)
    var other = state
    other.services = []
    #expect(try LearnedState(Array(other.text.utf8)) == other)
  }

  @Test func `what the version before wrote is read, and has no endpoints`() throws {
    var state = LearnedState(savedAt: Self.now, services: [Self.service()])
    let text = state.text.split(separator: "\n").dropFirst().dropLast().joined(separator: "\n")
    #expect(try LearnedState(Self.sealed("spillway-learned 1\n" + text + "\n")) == state)
    state = Self.listing()
    let more = state.text.split(separator: "\n").dropFirst().dropLast().joined(separator: "\n")
    #expect(Self.fault(Self.sealed("spillway-learned 1\n" + more + "\n")) == .damaged)
  }

  @Test func `a text with blanks is left out, and no half of a list is kept`() throws {
    var state = Self.listing()
    state.lists[0].endpoints.append(ListedEndpoint(.unix("/run/my shop")))
    #expect(try LearnedState(Array(state.text.utf8)) == Self.listing())

    let many = (0..<4_096).map {
      ListedEndpoint(.unix("/run/\(String(repeating: "x", count: 400))\($0)"))
    }
    state.lists = (0..<6).map {
      LearnedState.List(service: "s\($0)", heardAt: 1, endpoints: many)
    }
    let text = state.text
    #expect(text.utf8.count <= LearnedState.maximumBytes)
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("endpoint ") }
    #expect(lines.count > 0 && lines.count.isMultiple(of: 4_096) && lines.count < 6 * 4_096)
  }

  @Test(arguments: [
    "endpoint a 1 0 1\n", "endpoint a 0 0 1 b:1\n", "endpoint a 1001 0 1 b:1\n",
    "endpoint a 1 8 1 b:1\n", "endpoint a 1 -1 1 b:1\n", "endpoint a x 0 1 b:1\n",
    "endpoint a 1 0 -1 b:1\n", "endpoint a 1 0 1 b\n", "endpoint a 1 0 1 b:0\n",
    "endpoint a 1 0 1 b:65536\n", "endpoint a 1 0 1 :1\n", "endpoint a 1 0 1 b:c:1\n",
    "endpoint a 1 0 1 [b]:1\n", "endpoint a 1 0 1 unix:b\n", "endpoint a 1 0 1 b:1 c d\n",
    "endpoint a 1 0 1 b:1 \n", "endpoint a 1 0 1 b:1 c\"\n",
    "endpoint  1 0 1 b:1\n", "endpoint a 1 0 1 b:1\nendpoint a 1 0 2 c:1\n",
    "endpoint a 1 0 1 b:1\nendpoint c 1 0 1 b:1\nendpoint a 1 0 1 d:1\n",
    "endpoint a 1 0 1 b:1\nservice a b 1 2 3 4 5 6\n", "name a\n", "name a b\n",
    "name a 10.0.0.256\n", "name A 10.0.0.1\n", "name a 10.0.0.1\nname a 10.0.0.1\n",
    "name a 10.0.0.1\nendpoint a 1 0 1 b:1\n",
    "name a" + String(repeating: " ::1", count: 65) + "\n",
    (0..<4_097).map { "endpoint a 1 0 1 b\($0):1\n" }.joined(),
    (0..<1_025).map { "name n\($0) ::1\n" }.joined(),
    (0..<5).flatMap { service in
      (0..<3_500).map { "endpoint s\(service) 1 0 1 b\($0):1\n" }
    }.joined(),
  ])
  func `lines of endpoints that make no sense refuse the whole`(_ lines: String) {
    #expect(Self.fault(Self.sealed("spillway-learned 2\nsaved 1\n" + lines)) == .damaged)
  }

  @Test func `a source that says the same again is saved again only before it counts as old`() {
    let state = Self.listing()
    var next = state
    next.savedAt += 60
    next.lists[0].heardAt += 60
    #expect(!LearnedKeeper.isNews(next, after: state))
    next.savedAt += 600
    #expect(LearnedKeeper.isNews(next, after: state))
    next = state
    next.lists[1].endpoints[0].weight = 2
    #expect(LearnedKeeper.isNews(next, after: state))
    next = state
    next.names = []
    #expect(LearnedKeeper.isNews(next, after: state))
    #expect(LearnedKeeper.isNews(state, after: nil))
    #expect(!LearnedKeeper.isNews(LearnedState(savedAt: 1, services: []), after: nil))
  }

  @Test func `endpoints are taken without limits, and not where they were saved long ago`() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("learned")
    func find(savedAt moment: Int64) throws -> LearnedSource.Found {
      var state = Self.listing(at: moment)
      state.services = []
      try state.text.write(to: file, atomically: true, encoding: .utf8)
      return LearnedSource.find(directory: folder.path, handed: nil, now: Self.now)
    }

    let found = try find(savedAt: Self.now - 3_600)
    #expect(found.state?.lists.map(\.service) == ["shop", "catalog"] && found.faults.isEmpty)
    #expect(found.state?.names.count == 1)
    let old = try find(savedAt: Self.now - 3_601)
    #expect(old.state == nil && old.faults.map(\.fault) == [.tooOld])
  }

  @Test func `what would not fit is left out, and the rest can be read`() throws {
    let services = (0..<60_000).map { Self.service("service-\($0)") }
    let text = LearnedState(savedAt: Self.now, services: services).text
    #expect(text.utf8.count <= LearnedState.maximumBytes)

    let back = try LearnedState(Array(text.utf8))
    #expect(back.services.count > 10_000 && back.services.count < services.count)
    #expect(back.services == Array(services.prefix(back.services.count)))
  }

  @Test func `whatever bytes come, nothing traps`() {
    var random = SplitMix64(seed: 7)
    let seed = Array(LearnedState(savedAt: Self.now, services: [Self.service()]).text.utf8)
    for _ in 0..<2_000 {
      var bytes = seed.dropLast(21).map { $0 }
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let at = Int.random(in: 19..<bytes.count, using: &random)
        bytes[at] = UInt8.random(in: 0...255, using: &random)
      }
      guard let text = String(validating: bytes, as: UTF8.self) else { continue }
      // Either it is refused, or what it says can be started from.
      guard let state = try? LearnedState(Self.sealed(text)) else { continue }
      for service in state.services {
        let limit = LatencyGradientLimit(learned: service.limit).limit
        #expect((1...Bounds.limit).contains(limit))
      }
    }
  }

  // MARK: Where it is found

  private static func folder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("spillway-learned-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }

  @Test func `the later of file and hand-over counts, and a fault of one leaves the other`() throws
  {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("learned")
    let handed = folder.appendingPathComponent("handed")
    func find() -> LearnedSource.Found {
      let descriptor = open(handed.path, O_RDONLY | O_CLOEXEC)
      defer { if descriptor >= 0 { close(descriptor) } }
      return LearnedSource.find(
        directory: folder.path,
        handed: descriptor >= 0 ? descriptor : nil,
        now: Self.now
      )
    }
    func write(_ service: String, at moment: Int64, to url: URL) throws {
      let state = LearnedState(savedAt: moment, services: [Self.service(service, at: moment)])
      try state.text.write(to: url, atomically: true, encoding: .utf8)
    }

    #expect(find().state == nil && find().faults.isEmpty)
    try write("one", at: Self.now - 5, to: file)
    #expect(find().state?.services.map(\.name) == ["one"] && find().source == .file)
    try write("two", at: Self.now - 1, to: handed)
    #expect(find().state?.services.map(\.name) == ["two"] && find().source == .handedOver)
    try write("three", at: Self.now, to: file)
    #expect(find().state?.services.map(\.name) == ["three"])
    try "half".write(to: file, atomically: true, encoding: .utf8)
    #expect(find().state?.services.map(\.name) == ["two"])
    #expect(find().faults.map(\.fault) == [.damaged])
    try write("old", at: Self.now - 3_601, to: handed)
    #expect(find().state == nil)
    #expect(find().faults.map(\.fault) == [.tooOld, .damaged])
  }

  @Test func `what is no file is not waited for`() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(mkfifo(folder.appendingPathComponent("learned").path, 0o600) == 0)
    let found = LearnedSource.find(directory: folder.path, handed: nil, now: Self.now)
    #expect(found.state == nil && found.faults.map(\.fault) == [.unreadable(EINVAL)])
    let closed = LearnedSource.find(directory: nil, handed: 1_000_000, now: Self.now)
    #expect(closed.faults.map(\.fault) == [.unreadable(EBADF)])
  }

  // MARK: Who takes it

  private static func setting(_ limit: AdmissionSetting.Limit = .latencyGradient)
    -> AdmissionSetting
  {
    var setting = AdmissionSetting()
    setting.limit = limit
    return setting
  }

  @Test func `a service begins with what is kept under its name, routes by theirs`() throws {
    var orders = Self.service()
    orders.routes.append(LearnedState.Route(name: "gone", weight: 2))
    let directory = AdmissionDirectory(
      workers: 2,
      classes: ["a", "b"],
      offer: [orders, Self.service("other"), Self.service("stranger")]
    )
    let slot = try directory.slot(of: "orders", Self.setting()) { ["first", "checkout"] }
    let other = try directory.slot(of: "other", Self.setting(.vegas)) { [] }
    let cold = try directory.slot(of: "cold", Self.setting()) { [] }
    let taken = directory.closeOffer()

    #expect(slot.service.limit == 41)
    #expect(slot.inspect()?.learned == orders.limit)
    let place = Int(slot.tally.place(of: "checkout"))
    #expect(slot.inspect()?.weights[place] == 1.0 / 7)
    #expect(slot.inspect()?.weights.filter { $0 > 0 }.count == 1)
    #expect(slot.tally.routeNames == ["checkout"])
    #expect(other.inspect()?.learned == nil)
    #expect(cold.service.limit == 16)
    #expect(taken.services.map(\.name) == ["orders"])
    #expect((taken.strangers, taken.otherLimits, taken.unknownRoutes) == (1, 1, 1))
    // It was for the first configuration alone.
    #expect(try directory.slot(of: "stranger", Self.setting()).service.limit == 16)
  }

  @Test func `other bounds begin with what was learned, another rule begins anew`() throws {
    let directory = AdmissionDirectory(workers: 1, classes: ["a"], offer: [Self.service()])
    let first = try directory.slot(of: "orders", Self.setting()) { ["checkout"] }
    var bounded = Self.setting()
    bounded.maximum = 30
    let second = try directory.slot(of: "orders", bounded)
    #expect(second.service !== first.service)
    #expect(second.service.limit == 30)
    #expect(second.inspect()?.learned?.limit == 30)
    #expect(second.inspect()?.learned?.baseline == first.inspect()?.learned?.baseline)
    #expect(second.inspect()?.weights == first.inspect()?.weights)

    var renamed = Self.setting()
    renamed.mode = .shadow
    renamed.openStreams = 5
    #expect(try directory.slot(of: "orders", renamed).service === first.service)
    #expect(try directory.slot(of: "orders", Self.setting(.aimd)).inspect()?.learned == nil)
    #expect(try directory.slot(of: "elsewhere", Self.setting()).service.limit == 16)
  }
}
