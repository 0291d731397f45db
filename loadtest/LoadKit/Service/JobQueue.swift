internal import Units

/// First in, first out, with removal from the middle, all in O(1) amortised.
struct JobQueue {
  struct Entry {
    var job: Int32
    var route: Int32
    var arrived: Instant
  }

  private var entries: [Entry] = []
  private var head = 0
  /// Entries that were dropped from the front of the array so far.
  private var dropped = 0
  /// Where each job stands, counted from the first entry there ever was.
  private var places: [Int]
  private(set) var count = 0

  init(jobs: Int) { places = Array(repeating: -1, count: jobs) }

  mutating func append(_ job: Int32, _ route: Int32, _ arrived: Instant) {
    places[Int(job)] = dropped + entries.count
    entries.append(Entry(job: job, route: route, arrived: arrived))
    count += 1
  }

  mutating func popFirst() -> Entry? {
    while head < entries.count {
      let entry = entries[head]
      head += 1
      compact()
      guard entry.job >= 0 else { continue }
      places[Int(entry.job)] = -1
      count -= 1
      return entry
    }
    return nil
  }

  /// Leaves a hole that `popFirst` passes over; nothing for a job that does not wait.
  mutating func remove(_ job: Int32) {
    let place = places[Int(job)]
    guard place >= 0 else { return }
    entries[place - dropped].job = -1
    places[Int(job)] = -1
    count -= 1
  }

  private mutating func compact() {
    guard head >= 1_024, head * 2 >= entries.count else { return }
    entries.removeFirst(head)
    dropped += head
    head = 0
  }
}
