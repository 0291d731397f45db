internal import Units

/// Requests that are worked on, the first to be done on top; a binary heap.
struct FinishHeap {
  private var items: [ServiceModel.Finished] = []

  var first: ServiceModel.Finished? { items.first }

  mutating func insert(_ item: ServiceModel.Finished) {
    items.append(item)
    rise(from: items.count - 1)
  }

  mutating func removeFirst() { remove(at: 0) }

  /// Workers are few, so looking at all of them is cheap.
  mutating func remove(_ job: Int32) {
    guard let index = items.firstIndex(where: { $0.job == job }) else { return }
    remove(at: index)
  }

  private mutating func remove(at index: Int) {
    let last = items.removeLast()
    guard index < items.count else { return }
    items[index] = last
    rise(from: index)
    sink(from: index)
  }

  private mutating func rise(from start: Int) {
    var index = start
    while index > 0 {
      let parent = (index - 1) / 2
      guard isBefore(items[index], items[parent]) else { return }
      items.swapAt(index, parent)
      index = parent
    }
  }

  private mutating func sink(from start: Int) {
    var index = start
    while true {
      var least = index
      for child in [index * 2 + 1, index * 2 + 2] where child < items.count {
        if isBefore(items[child], items[least]) { least = child }
      }
      guard least != index else { return }
      items.swapAt(index, least)
      index = least
    }
  }

  /// Equal times in the order of names, so that a seed fixes the whole run.
  private func isBefore(_ one: ServiceModel.Finished, _ other: ServiceModel.Finished) -> Bool {
    one.at != other.at ? one.at < other.at : one.job < other.job
  }
}
