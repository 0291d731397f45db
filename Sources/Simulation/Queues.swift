/// A first-in, first-out queue of requests.
struct Fifo {
  private var items: [Int] = []
  private var head = 0

  var count: Int { items.count - head }

  mutating func push(_ item: Int) { items.append(item) }

  mutating func pop() -> Int? {
    guard head < items.count else { return nil }
    let item = items[head]
    head += 1
    if head > 1_024, head * 2 > items.count {
      items.removeFirst(head)
      head = 0
    }
    return item
  }
}

/// Deadlines, which come in the order in which they were set.
struct DeadlineQueue {
  private var items: [(time: Double, request: Int, generation: UInt32)] = []
  private var head = 0

  /// The next one; infinite when there is none.
  var time: Double { head < items.count ? items[head].time : .infinity }

  mutating func push(_ time: Double, _ request: Int, _ generation: UInt32) {
    items.append((time, request, generation))
  }

  mutating func pop() -> (Int, UInt32) {
    let item = items[head]
    head += 1
    if head > 4_096, head * 2 > items.count {
      items.removeFirst(head)
      head = 0
    }
    return (item.request, item.generation)
  }
}

/// Events by time, as a binary heap.
///
/// Of equal times the one that was pushed first comes first, so that
/// a run is a function of its seed alone.
struct EventHeap {
  private var items: [(event: World.Event, order: UInt64)] = []
  private var order: UInt64 = 0

  /// The time of the next one; infinite when there is none.
  var time: Double { items.isEmpty ? .infinity : items[0].event.time }

  mutating func push(_ event: World.Event) {
    order += 1
    items.append((event, order))
    var child = items.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard isBefore(child, parent) else { break }
      items.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() -> World.Event {
    let first = items[0].event
    let last = items.removeLast()
    guard !items.isEmpty else { return first }
    items[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in (2 * parent + 1)...(2 * parent + 2)
      where child < items.count && isBefore(child, least) { least = child }
      guard least != parent else { return first }
      items.swapAt(parent, least)
      parent = least
    }
  }

  private func isBefore(_ a: Int, _ b: Int) -> Bool {
    (items[a].event.time, items[a].order) < (items[b].event.time, items[b].order)
  }
}
