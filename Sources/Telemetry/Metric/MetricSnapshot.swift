/// The families and cells of one moment's structure; values go on changing.
struct MetricSnapshot: Sendable {
  let families: [MetricFamily]
  let spaces: [CellSpace]

  /// The sum of a cell over all shards, around the end of its range as the parts are.
  func sum(_ cell: Int32) -> UInt64 {
    spaces.reduce(0) { $0 &+ $1.value(Int(cell)) }
  }

  /// The value of a gauge.
  func gauge(_ series: MetricFamily.Series) -> Int64 {
    switch series.merge {
    case .sum: Int64(bitPattern: sum(series.cell))
    case .max: spaces.map { Int64(bitPattern: $0.value(Int(series.cell))) }.max() ?? 0
    }
  }

  /// The methods of a route that any shard has seen, a bit for each.
  func methods(_ cell: Int32) -> UInt64 {
    spaces.reduce(0) { $0 | $1.value(Int(cell)) }
  }
}
