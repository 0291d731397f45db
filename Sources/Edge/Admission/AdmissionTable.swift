internal import Admission
internal import Glibc
internal import Units

/// A worker's sides of the admissions of all services, by their places.
struct AdmissionTable: ~Copyable {
  struct Entry: ~Copyable {
    var admission: WorkerAdmission
    let tally: WorkerTally
    /// It is in the list of those that the end of the turn looks at.
    var isActive = false
    /// When it is to be looked at even though nothing waits, so that its window is closed.
    var nextLook = Instant(.min)
    /// Its place among the services of the newest snapshot, -1 where it is gone.
    var service: Int32 = -1
    /// When endpoints that hang are looked for again.
    var nextSearch = Instant(.min)
  }

  // Memory of entries that nobody uses is never touched.
  private let entries: UnsafeMutablePointer<Entry>
  private let isPresent: UnsafeMutablePointer<Bool>
  private let active: UnsafeMutablePointer<Int32>
  /// Entries in the list.
  private(set) var activeCount = 0
  /// Something happened since the list was last looked through.
  var isTouched = false

  init() {
    let capacity = AdmissionDirectory.capacity
    entries = .allocate(capacity: capacity)
    isPresent = .allocate(capacity: capacity)
    isPresent.initialize(repeating: false, count: capacity)
    active = .allocate(capacity: capacity)
    active.initialize(repeating: 0, count: capacity)
  }

  deinit {
    for index in 0..<AdmissionDirectory.capacity where isPresent[index] {
      (entries + index).deinitialize(count: 1)
    }
    entries.deallocate()
    isPresent.deallocate()
    active.deallocate()
  }

  /// The side of a service that a snapshot names.
  subscript(_ slot: Int32) -> UnsafeMutablePointer<Entry> { entries + Int(slot) }

  func has(_ slot: Int32) -> Bool { isPresent[Int(slot)] }

  /// Makes this worker's side of a service that it has not seen.
  mutating func adopt(_ slot: AdmissionSlot, worker: Int, seed: UInt64) {
    let index = Int(slot.index)
    guard !isPresent[index] else { return }
    (entries + index).initialize(
      to: Entry(
        admission: WorkerAdmission(service: slot.service, worker: worker, seed: seed),
        tally: slot.tally.worker(worker)
      )
    )
    isPresent[index] = true
  }

  /// Notes where services are in a new snapshot.
  func locate(in snapshot: Snapshot) {
    for slot in 0..<AdmissionDirectory.capacity where isPresent[slot] { entries[slot].service = -1 }
    // The first ones are whole, parts of them come behind.
    for index in (0..<Int32(snapshot.serviceCount)).reversed() {
      let slot = snapshot.service(index).pointee.admission
      if slot >= 0 { entries[Int(slot)].service = index }
    }
  }

  /// Has the end of the turn look at a service where that is of use: something waits or has to be
  /// told, or a window may be over.
  mutating func touch(_ slot: Int32, at now: Instant) {
    let entry = entries + Int(slot)
    if entry.pointee.admission.hasQueued || entry.pointee.admission.hasEvents
      || now >= entry.pointee.nextLook
    {
      touch(slot)
    }
  }

  /// Has the end of the turn look at a service in any case.
  mutating func touch(_ slot: Int32) {
    isTouched = true
    guard !entries[Int(slot)].isActive else { return }
    entries[Int(slot)].isActive = true
    active[activeCount] = slot
    activeCount += 1
  }

  func activeSlot(_ place: Int) -> Int32 { active[place] }

  /// Forgets the services of the list in which nothing waits or hangs.
  mutating func trim() {
    var kept = 0
    for place in 0..<activeCount {
      let slot = active[place]
      if entries[Int(slot)].admission.hasQueued || entries[Int(slot)].admission.hasEvents
        || entries[Int(slot)].admission.isBesideHanging
      {
        active[kept] = slot
        kept += 1
      } else {
        entries[Int(slot)].isActive = false
      }
    }
    activeCount = kept
  }
}
