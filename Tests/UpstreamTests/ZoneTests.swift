import Testing
import Units
import Upstream

private func count(known: Int, healthy: Int) -> ZoneCount {
  var count = ZoneCount()
  for index in 0..<known { count.add(isHealthy: index < healthy) }
  return count
}

struct ZoneTests {
  private static let balances: [Balance] = [.twoChoices, .roundRobin, .leastRequests, .ringHash]

  /// Ten endpoints at home, the first ones, and some elsewhere.
  private static func scene(_ balance: Balance, local: Int = 10, others: Int = 10) -> ChoiceScene {
    let endpoints = (0..<(local + others)).map {
      ChoiceEndpoint(place: Int32($0), name: "10.0.0.\($0)", isLocal: $0 < local)
    }
    // As a list may have them, in any order.
    return ChoiceScene(balance, endpoints.reversed(), hasZones: true)
  }

  private static func localShare(_ scene: ChoiceScene, local: Int = 10) -> Double {
    var here = 0
    for key in 1...8_000 as ClosedRange<UInt64> {
      let place = scene.choose(key: key &* 0x9E37_79B9_7F4A_7C15)
      if place < Int32(local) { here += 1 }
      #expect(scene.view.isLocal == (place < Int32(local)))
    }
    return Double(here) / 8_000
  }

  @Test func `a zone keeps its share of the load as long as enough of it is healthy`() {
    func share(_ healthy: Int, others: ZoneCount = count(known: 5, healthy: 5)) -> Float {
      ZoneShare.local(count(known: 10, healthy: healthy), others, overprovisioning: 1.4)
    }
    #expect(share(10) == 1)
    #expect(share(8) == 1)
    #expect(abs(share(7) - 0.98) < 1e-6)
    #expect(abs(share(5) - 0.7) < 1e-6)
    #expect(abs(share(1) - 0.14) < 1e-6)
    #expect(share(0) == 0)
    // Nobody is held to a zone, or sent to one, that has nobody.
    #expect(share(3, others: count(known: 5, healthy: 0)) == 1)
    #expect(share(0, others: count(known: 5, healthy: 0)) < 0)
    #expect(share(10, others: count(known: 0, healthy: 0)) < 0)
    let nobody = count(known: 0, healthy: 0)
    #expect(ZoneShare.local(nobody, count(known: 5, healthy: 5), overprovisioning: 1.4) < 0)
  }

  @Test(arguments: balances)
  func `all requests stay while the zone is well`(_ balance: Balance) {
    let scene = Self.scene(balance)
    #expect(Self.localShare(scene) == 1)
    let counts = scene.tally(4_000)
    #expect(counts[..<10].allSatisfy { $0 > 100 })
    for place in [0, 1] as [Int32] { scene.open(place) }
    #expect(Self.localShare(scene) == 1)
  }

  @Test(arguments: balances, [(7, 0.98), (5, 0.7), (2, 0.28)])
  func `what the zone cannot take goes elsewhere, in proportion`(
    _ balance: Balance,
    _ given: (healthy: Int, share: Double)
  ) {
    let scene = Self.scene(balance)
    for place in given.healthy..<10 { scene.open(Int32(place)) }
    #expect(abs(Self.localShare(scene) - given.share) < 0.03)
    let counts = scene.tally(4_000)
    #expect(counts[given.healthy..<10].allSatisfy { $0 == 0 })
    #expect(counts[10...].allSatisfy { $0 > 0 })
  }

  @Test(arguments: balances)
  func `a zone that is down altogether holds nobody`(_ balance: Balance) {
    let scene = Self.scene(balance)
    for place in 0..<10 as Range<Int32> { scene.open(place) }
    #expect(Self.localShare(scene) == 0)
  }

  @Test(arguments: balances)
  func `where fewer than half of all are healthy zones are of no account`(_ balance: Balance) {
    let scene = Self.scene(balance)
    for place in 2..<14 as Range<Int32> { scene.open(place) }
    let counts = scene.tally(8_000)
    #expect(counts.allSatisfy { $0 > 20 })
    #expect(scene.view.isLocal == nil)
  }

  @Test(arguments: balances)
  func `a zone that is well stays so when all the others are gone`(_ balance: Balance) {
    let scene = Self.scene(balance, local: 10, others: 20)
    for place in 10..<30 as Range<Int32> { scene.open(place) }
    #expect(Self.localShare(scene) == 1)
    // It could not carry all of it with two of five down.
    for place in 0..<4 as Range<Int32> { scene.open(place) }
    #expect(scene.tally(8_000).allSatisfy { $0 > 20 })
  }

  @Test(arguments: balances)
  func `a request leaves when nobody in the zone has room`(_ balance: Balance) {
    let scene = Self.scene(balance, local: 3, others: 3)
    for place in 0..<3 { scene.states[place].isFull = true }
    #expect(Self.localShare(scene, local: 3) == 0)
    scene.states[1].isFull = false
    #expect(Self.localShare(scene, local: 3) == 1)
    // It was tried already.
    let places = (0..<50).map { _ in scene.choose(avoiding: 1, key: 7) }
    #expect(places.allSatisfy { $0 >= 3 })
  }

  @Test(arguments: balances)
  func `without endpoints at home, or elsewhere, all are asked`(_ balance: Balance) {
    #expect(Self.scene(balance, local: 0, others: 6).tally(3_000).allSatisfy { $0 > 100 })
    #expect(Self.scene(balance, local: 6, others: 0).tally(3_000).allSatisfy { $0 > 100 })
  }

  @Test func `a key keeps its place while its zone is half there`() {
    let scene = Self.scene(.ringHash)
    for place in 0..<5 as Range<Int32> { scene.open(place) }
    for key in 1..<100 as Range<UInt64> {
      let mixed = key &* 0x9E37_79B9_7F4A_7C15
      let places = Set((0..<5).map { _ in scene.choose(key: mixed) })
      #expect(places.count == 1)
    }
  }

  @Test func `rounds at home and elsewhere are fair each`() {
    let scene = Self.scene(.roundRobin, local: 10, others: 3)
    for place in 5..<10 as Range<Int32> { scene.open(place) }
    let counts = scene.tally(10_000)
    let (home, away) = (counts[..<5], counts[10...])
    #expect((home.max() ?? 0) - (home.min() ?? 0) <= 1)
    #expect((away.max() ?? 0) - (away.min() ?? 0) <= 1)
  }

  @Test func `a backup is another priority and has zones of its own`() {
    let endpoints = (0..<8).map {
      ChoiceEndpoint(place: Int32($0), priority: $0 / 4, name: "\($0)", isLocal: $0 % 4 < 2)
    }
    let scene = ChoiceScene(.roundRobin, endpoints, hasZones: true)
    #expect(scene.tally(40) == [20, 20, 0, 0, 0, 0, 0, 0])
    for place in 0..<3 as Range<Int32> { scene.open(place) }
    #expect(scene.tally(40) == [0, 0, 0, 0, 20, 20, 0, 0])
  }

  @Test func `reported weights hold within a zone`() {
    let scene = Self.scene(.roundRobin, local: 2, others: 2)
    scene.policy.pointee.hasReports = true
    for place in 0..<4 as Range<Int32> {
      scene.report(place, rate: place == 1 ? 300 : 100, utilization: 0.5)
    }
    scene.now = scene.now + .seconds(10)
    let counts = scene.tally(400)
    #expect(abs(counts[0] - 100) <= 2 && abs(counts[1] - 300) <= 2)
    #expect(counts[2] == 0 && counts[3] == 0)
  }
}
