internal import Admission
internal import Reactor
internal import Units
internal import Upstream

/// What admission needs of each turn: queues move, windows close, other workers are rung.
extension Worker {
  /// How soon the next turn has to come; `nil` when nothing waits.
  var admissionWait: Nanoseconds? {
    if admissions.isTouched { return .zero }
    return admissions.activeCount > 0 ? Self.admissionTick : nil
  }

  /// What waits is looked at this often: the time-outs of the queue are tens of milliseconds.
  private static let admissionTick = Nanoseconds.milliseconds(10)

  /// Gives out what the events of this turn made free, and refuses what waited too long.
  func serveAdmissions() {
    guard admissions.activeCount > 0 else { return }
    date.refresh(at: reactor.now)
    // An answer may end a permit, or begin the next request of its client: looked at until nothing
    // new came of it.
    repeat {
      admissions.isTouched = false
      var place = 0
      while place < admissions.activeCount {
        serveAdmission(admissions.activeSlot(place))
        place += 1
      }
    } while admissions.isTouched
    admissions.trim()
  }

  private func serveAdmission(_ slot: Int32) {
    let entry = admissions[slot]
    entry.pointee.nextLook = reactor.now + Self.admissionTick
    if reactor.now >= entry.pointee.nextSearch {
      entry.pointee.nextSearch = reactor.now + Self.admissionTick
      noteHanging(entry)
    }
    entry.pointee.admission.turn(reactor.now, wallOffset: Nanoseconds(date.wallOffset))
    var isDone = false
    while !isDone {
      switch entry.pointee.admission.next() {
      case .none: isDone = true
      case .dispatched(let handle, let permit): dispatched(handle, slot, permit)
      case .refused(let handle, let refusal): refused(handle, slot, refusal)
      }
    }
    for priority in 0..<shared.classes {
      let depth = entry.pointee.admission.queued(PriorityClass(UInt8(priority)))
      entry.pointee.tally.publish(depth: depth, of: priority)
    }
    ringOthers(slot)
  }

  /// While requests wait: counts those that hang at endpoints which say nothing, and for which nobody
  /// has to wait.
  private func noteHanging(_ entry: UnsafeMutablePointer<AdmissionTable.Entry>) {
    guard entry.pointee.admission.hanging > 0 || entry.pointee.admission.occupancy.waiting > 0
    else { return }
    entry.pointee.admission.noteHanging(hanging(entry.pointee.service))
  }

  /// Answers that endpoints of a service owe this worker, of those that are silent while another one
  /// answers.
  private func hanging(_ index: Int32) -> Int {
    guard index >= 0 else { return 0 }
    let snapshot = snapshots.newest
    let service = snapshot.service(index)
    let places = snapshot.places + Int(service.pointee.firstEndpoint)
    let most = min(Int(service.pointee.endpointCount), Self.mostSearched)
    var (count, since) = (0, Instant.never)
    for offset in 0..<most {
      let state = endpoints + Int(places[offset])
      guard state.pointee.isStuck(at: reactor.now) else { continue }
      count += Int(state.pointee.awaited)
      since = min(since, state.pointee.quietSince)
    }
    guard count > 0 else { return 0 }
    let lately = since + Nanoseconds(-Self.memory.rawValue)
    for offset in 0..<most where works(places[offset], since: lately) { return count }
    return 0
  }

  /// How long before others fell silent an endpoint may have answered last: one that has nothing to do,
  /// since they hold every permit, shows no more.
  private static let memory = Nanoseconds.seconds(1)

  /// Endpoints of a service that are looked at: of more, one that hangs holds little of the limit.
  private static let mostSearched = 1_024

  /// Wakes the workers that a permit was left for.
  private func ringOthers(_ slot: Int32) {
    var bells = admissions[slot].pointee.admission.takeBells()
    while bells != 0 {
      mailboxes[bells.trailingZeroBitCount].ringAdmission(slot)
      bells &= bells - 1
    }
  }

  /// Takes up what other workers left here.
  func readAdmissionBells() {
    mailbox.takeAdmissionBells { slot in
      // A worker that does not know the service has nobody waiting for it.
      if admissions.has(slot) { admissions.touch(slot) }
    }
  }

  /// The worker ends: permits that were left for it go on to others.
  func closeAdmissions() {
    for slot in 0..<Int32(AdmissionDirectory.capacity) where admissions.has(slot) {
      admissions.touch(slot)
      admissions[slot].pointee.admission.noteHanging(0)
    }
    serveAdmissions()
  }
}
