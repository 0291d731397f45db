internal import Admission
internal import Configuration
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
}

/// The admissions of all services by name, which outlive snapshots; slow plane only.
///
/// What was learned and who is in flight stays with a service for as long as its limit is set the
/// same way, whatever else a reload changes, its mode included.
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
  }

  /// The classes of the process; they stay until it ends.
  let classes: [String]
  private let workers: Int
  private let state = Locked(State())

  init(workers: Int, classes: [String]) {
    self.workers = workers
    self.classes = classes
  }

  /// The admission of a service.
  ///
  /// - Throws: `EdgeError` when there were too many, or workers are more than can share one.
  func slot(of name: String, _ setting: AdmissionSetting) throws(EdgeError) -> AdmissionSlot {
    var key = Key(name: name, setting: setting)
    // The mode is what requests are told, not what is known.
    key.setting.mode = .enforce
    return try state.withLock { state throws(EdgeError) in
      if let slot = state.slots[key] { return slot }
      guard state.slots.count < Self.capacity else {
        throw EdgeError(.bound, "more than \(Self.capacity) limits of services were ever set")
      }
      let slot = try self.make(Int32(state.slots.count), name, setting, &state.tallies)
      state.slots[key] = slot
      return slot
    }
  }

  private func make(
    _ index: Int32,
    _ name: String,
    _ setting: AdmissionSetting,
    _ tallies: inout [String: AdmissionTally]
  ) throws(EdgeError) -> AdmissionSlot {
    guard
      let settings = ServiceSettings(
        workers: workers,
        routes: AdmissionTally.routes,
        classes: classes.count,
        queueCapacity: setting.queueCapacity,
        limits: setting.minimum...setting.maximum,
        tenantSeed: UInt64.random(in: 0 ... .max)
      ), let limiter = Limiter(named: setting.limit.rawValue, limit: setting.inFlight)
    else { throw EdgeError(.bound, "admission of \(name): settings are out of range") }
    let tally = tallies[name] ?? AdmissionTally(workers: workers)
    tallies[name] = tally
    return AdmissionSlot(
      index: index,
      name: name,
      limit: setting.limit,
      service: ServiceAdmission(settings: settings, limiter: limiter),
      tally: tally
    )
  }
}
