internal import Admission
internal import Configuration
internal import Glibc
internal import Units

/// One service's admission and where workers find it.
final class AdmissionSlot: Sendable {
  /// Its place in each worker's table.
  let index: Int32
  let name: String
  let limit: AdmissionSetting.Limit
  let service: ServiceAdmission
  let tally: AdmissionTally

  init(
    index: Int32,
    name: String,
    limit: AdmissionSetting.Limit,
    service: ServiceAdmission,
    tally: AdmissionTally
  ) {
    self.index = index
    self.name = name
    self.limit = limit
    self.service = service
    self.tally = tally
  }

  /// What was learned; while a worker closes a window it is asked again.
  func inspect() -> ServiceInspection? {
    for _ in 0..<100 {
      if let inspection = service.inspect() { return inspection }
      sched_yield()
    }
    return nil
  }
}

/// The admissions of all services by name, which outlive snapshots; slow plane only.
///
/// What was learned and who is in flight stays with a service for as long as its limit is set the
/// same way, whatever else a reload changes, its mode included. Where only bounds of the limit or of
/// the queue change, what was learned goes along.
final class AdmissionDirectory: Sendable {
  /// Services, each with every limit that it was ever given.
  static let capacity = Settings.maximumServices

  private struct Key: Hashable {
    var name: String
    var setting: AdmissionSetting
  }

  private struct State {
    var slots: [Key: AdmissionSlot] = [:]
    var tallies: [String: AdmissionTally] = [:]
    /// The slot that each service was given last.
    var latest: [String: AdmissionSlot] = [:]
    /// What an earlier process had learned, by service.
    var offer: [String: LearnedState.Service] = [:]
    var taken = Taken()
  }

  /// What became of what an earlier process had learned.
  struct Taken {
    var services: [LearnedState.Service] = []
    /// Services that the configuration does not have, or whose limits are learned by another rule.
    var strangers = 0
    var otherLimits = 0
    /// Routes that lead to such services no more.
    var unknownRoutes = 0
  }

  private struct Learned {
    var limit: LearnedLimit
    var weights: [Double]
  }

  /// The classes of the process; they stay until it ends.
  let classes: [String]
  private let workers: Int
  private let state = Locked(State())

  /// - Parameters:
  ///   - workers: Those that share each limit.
  ///   - classes: Their names, highest first.
  ///   - offer: What an earlier process had learned, for the services of the first configuration.
  init(workers: Int, classes: [String], offer: [LearnedState.Service] = []) {
    self.workers = workers
    self.classes = classes
    state.withLock { $0.offer = Dictionary(offer.map { ($0.name, $0) }) { $1 } }
  }

  /// Nothing more is taken of what an earlier process had learned; says what was.
  func closeOffer() -> Taken {
    state.withLock { state in
      state.taken.strangers = state.offer.count
      state.offer = [:]
      return state.taken
    }
  }

  /// The admission of a service.
  ///
  /// `routes`: The names of the routes that lead to it.
  /// - Throws: `EdgeError` when there were too many, or workers are more than can share one.
  func slot(
    of name: String,
    _ setting: AdmissionSetting,
    routes: () -> [String] = { [] }
  ) throws(EdgeError) -> AdmissionSlot {
    var key = Key(name: name, setting: setting)
    // The mode is what requests are told, not what is known.
    key.setting.mode = .enforce
    key.setting.openStreams = nil
    return try state.withLock { state throws(EdgeError) in
      if let slot = state.slots[key] {
        state.latest[name] = slot
        return slot
      }
      guard state.slots.count < Self.capacity else {
        throw EdgeError(.bound, "more than \(Self.capacity) limits of services were ever set")
      }
      let slot = try self.make(name, setting, routes, &state)
      state.slots[key] = slot
      state.latest[name] = slot
      return slot
    }
  }

  private func make(
    _ name: String,
    _ setting: AdmissionSetting,
    _ routes: () -> [String],
    _ state: inout State
  ) throws(EdgeError) -> AdmissionSlot {
    guard
      let settings = ServiceSettings(
        workers: workers,
        routes: AdmissionTally.routes,
        classes: classes.count,
        queueCapacity: setting.queueCapacity,
        limits: setting.minimum...setting.maximum,
        tenantSeed: UInt64.random(in: 0 ... .max)
      ), let cold = Limiter(named: setting.limit.rawValue, limit: setting.inFlight)
    else { throw EdgeError(.bound, "admission of \(name): settings are out of range") }
    let tally = state.tallies[name] ?? AdmissionTally(workers: workers)
    state.tallies[name] = tally
    let learned = Self.learned(name, setting, tally, routes, &state)
    let limiter = learned.map { Limiter.latencyGradient(LatencyGradientLimit(learned: $0.limit)) }
    return AdmissionSlot(
      index: Int32(state.slots.count),
      name: name,
      limit: setting.limit,
      service: ServiceAdmission(
        settings: settings,
        limiter: limiter ?? cold,
        weights: learned?.weights ?? []
      ),
      tally: tally
    )
  }

  /// What a new slot begins with: what the service's slot before has learned, or an earlier process.
  private static func learned(
    _ name: String,
    _ setting: AdmissionSetting,
    _ tally: AdmissionTally,
    _ routes: () -> [String],
    _ state: inout State
  ) -> Learned? {
    if let before = state.latest[name] {
      guard before.limit == setting.limit, let inspection = before.inspect(),
        let limit = inspection.learned, limit.meanLatency > 0
      else { return nil }
      return Learned(limit: limit, weights: inspection.weights)
    }
    guard let offer = state.offer.removeValue(forKey: name) else { return nil }
    guard offer.kind == setting.limit.rawValue, setting.limit == .latencyGradient else {
      state.taken.otherLimits += 1
      return nil
    }
    var taken = offer
    let known = Set(routes())
    taken.routes = offer.routes.filter { known.contains($0.name) }
    state.taken.unknownRoutes += offer.routes.count - taken.routes.count
    state.taken.services.append(taken)
    var weights = [Double](repeating: 0, count: AdmissionTally.routes)
    for route in taken.routes {
      let place = Int(tally.place(of: route.name))
      // The last place is that of all others.
      if place < AdmissionTally.routes - 1 { weights[place] = route.weight }
    }
    return Learned(limit: offer.limit, weights: weights)
  }
}
