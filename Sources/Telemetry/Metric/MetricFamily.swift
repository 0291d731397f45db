/// What a family measures, which decides how it is written.
public enum MetricKind: String, Sendable {
  case counter
  case gauge
  case histogram
}

/// How the parts of a gauge make one value.
public enum GaugeMerge: Sendable {
  /// The parts are added: connections, bytes.
  case sum
  /// The greatest part counts: the worst delay.
  case max
}

/// One value that a callback reports when metrics are read.
public struct MetricSample: Sendable {
  public var labels: Labels
  public var value: Double

  public init(_ value: Double, _ labels: Labels = .none) {
    self.labels = labels
    self.value = value
  }
}

/// Every series of one name.
struct MetricFamily: Sendable {
  let name: String
  let help: String
  let kind: MetricKind
  /// Cells hold requests by method and code instead of one value.
  let countsRequests: Bool
  /// In the order of their labels.
  var series: [Series] = []
  /// Callbacks by key, in the order of their keys.
  var callbacks: [Callback] = []
  var rows: [String: CounterRow] = [:]

  struct Series: Sendable {
    let labels: String
    let cell: Int32
    let merge: GaugeMerge
  }

  struct Callback: Sendable {
    let key: String
    let read: @Sendable () -> [MetricSample]
  }

  func cell(of labels: String) -> Int32? {
    let index = position(of: labels)
    return index < series.count && series[index].labels == labels ? series[index].cell : nil
  }

  mutating func insert(_ new: Series) { series.insert(new, at: position(of: new.labels)) }

  mutating func replace(_ callback: Callback) {
    callbacks.removeAll { $0.key == callback.key }
    callbacks.append(callback)
    callbacks.sort { $0.key < $1.key }
  }

  /// The first place whose labels do not come before `labels`.
  private func position(of labels: String) -> Int {
    var low = 0
    var high = series.count
    while low < high {
      let middle = (low + high) / 2
      if series[middle].labels < labels { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
