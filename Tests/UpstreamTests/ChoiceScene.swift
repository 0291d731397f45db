import Units
import Upstream

/// A service's endpoints as one worker sees them.
final class ChoiceScene {
  private let healthMemory = HealthMemory(services: 2)
  var health: HealthTable { healthMemory.table }
  var memory: ChoiceMemory
  let states: UnsafeMutablePointer<EndpointState>
  let policy: UnsafeMutablePointer<ChoicePolicy>
  var view = ChoiceView()
  var random = SplitMix64(seed: 3)
  var now = Instant(1_000_000_000)
  let count: Int

  init(_ balance: Balance, _ endpoints: [ChoiceEndpoint], hasZones: Bool = false) {
    count = endpoints.count
    memory = ChoiceMemory(endpoints, hasRing: balance == .ringHash, hasZones: hasZones)
    states = .allocate(capacity: max(64, count))
    states.initialize(repeating: EndpointState(), count: max(64, count))
    policy = .allocate(capacity: 1)
    policy.initialize(to: ChoicePolicy())
    policy.pointee.balance = balance
    policy.pointee.hasBreaker = true
    policy.pointee.hasOutlier = true
    policy.pointee.hasZones = hasZones
  }

  convenience init(_ balance: Balance, _ count: Int) {
    self.init(balance, (0..<count).map { ChoiceEndpoint(place: Int32($0), name: "10.0.0.\($0)") })
  }

  deinit {
    states.deallocate()
    policy.deallocate()
  }

  func choose(avoiding: Int32 = -1, key: UInt64 = 0) -> Int32 {
    let chooser = Chooser(
      table: memory.table,
      policy: UnsafePointer(policy),
      states: states,
      health: health,
      at: now
    )
    return chooser.choose(
      service: 0,
      avoiding: avoiding,
      key: key,
      view: &view,
      using: &random
    )
  }

  func tally(_ times: Int, avoiding: Int32 = -1) -> [Int] {
    var counts = [Int](repeating: 0, count: count)
    for _ in 0..<times {
      let place = choose(avoiding: avoiding)
      if place >= 0 { counts[Int(place)] += 1 }
    }
    return counts
  }

  /// Tells what a check of an endpoint came to.
  func check(_ place: Int32, _ result: CheckResult) {
    let places = (0..<Int32(count)).map(\.self)
    places.withUnsafeBufferPointer { places in
      let fleet = CheckFleet(
        places: places,
        health: health,
        service: 0,
        settings: CheckSettings()
      )
      _ = fleet.note(result, at: place, now: now)
    }
  }

  /// An endpoint reports its load.
  func report(_ place: Int32, rate: Double, utilization: Double, errors: Double = 0) {
    var report = LoadReport()
    report.requestsPerSecond = rate
    report.errorsPerSecond = errors
    report.applicationUtilization = utilization
    _ = health.load(place)
      .note(report, utilization: utilization, at: now, policy.pointee.reports)
  }

  /// Opens an endpoint's breaker.
  func open(_ place: Int32) {
    for _ in 0..<5 {
      _ = health.breaker(place)
        .connectFailed(.endpoint, at: now, policy.pointee.breaker, using: &random)
    }
    health.service(0).noteChange()
  }
}
