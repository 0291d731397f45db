internal import Synchronization
internal import Units

/// Every metric of the process: names on the slow plane, cells for the hot one.
///
/// Making a series takes a lock and gives a handle; counting takes none. The same name and labels
/// give the same handle for ever, so a reload goes on counting and no counter falls. Names and label
/// names are ours and a mistake in them traps; label values may be anything.
public final class MetricRegistry: Sendable {
  /// Most cells of a shard: 16 MiB of address space, of which the used pages take memory.
  static let cellsPerShard = 1 << 21
  /// Cells at the start that nobody reads; default handles point here.
  static let unreadCells = RequestMethods.cells
  /// Most shards beyond those of the workers.
  static let extraShards = 64

  private let tables = MetricTables()
  private let workerSpaces: [CellSpace]
  /// Many threads count here with atomic additions.
  private let sharedSpace: CellSpace
  private let seriesPerFamily: Int
  private let state: Locked<State>

  private struct State {
    var spaces: [CellSpace]
    var families: [String: MetricFamily] = [:]
    var nextCell = MetricRegistry.unreadCells
    var overflowCells: [String: Int32] = [:]
    var overflows: [String: UInt64] = [:]
  }

  /// - Parameters:
  ///   - shards: How many workers count, at least one.
  ///   - seriesPerFamily: Most series of one name; further ones share a series `other`. Two
  ///     thousand routes of one edge are many, and a scrape of them stays below 4 MB.
  public init(shards: Int, seriesPerFamily: Int = 2_048) {
    precondition(shards >= 1 && seriesPerFamily >= 1, "unvalidated settings")
    let spaces = (0..<shards).map { _ in CellSpace(cells: Self.cellsPerShard) }
    workerSpaces = spaces
    sharedSpace = CellSpace(cells: Self.cellsPerShard)
    self.seriesPerFamily = seriesPerFamily
    state = Locked(State(spaces: spaces + [sharedSpace]))
    register(
      "spillway_metric_series_overflow_total",
      help: "Series that were not made because their family was full, by family.",
      .counter
    ) { [weak self] in
      let counts = self?.state.withLock { $0.overflows } ?? [:]
      return counts.map { MetricSample(Double($0.value), ["family": $0.key]) }
    }
  }

  /// How many workers count.
  public var shardCount: Int { workerSpaces.count }

  /// The shard of a worker, numbered from zero.
  public func shard(_ worker: Int) -> MetricShard {
    MetricShard(cells: workerSpaces[worker], tables: tables)
  }

  /// A shard for one more thread that lives as long as the process; at most `extraShards`.
  public func makeShard() -> MetricShard {
    let space = CellSpace(cells: Self.cellsPerShard)
    state.withLock {
      precondition($0.spaces.count <= workerSpaces.count + Self.extraShards, "shards leak")
      $0.spaces.append(space)
    }
    return MetricShard(cells: space, tables: tables)
  }

  /// Counts from any thread, for the slow plane.
  public func add(_ counter: Counter, _ n: UInt64 = 1) {
    sharedSpace.base[Int(counter.cell)].wrappingAdd(n, ordering: .relaxed)
  }

  /// Moves a summed gauge from any thread, for the slow plane.
  public func add(_ gauge: Gauge, _ n: Int64) {
    sharedSpace.base[Int(gauge.cell)].wrappingAdd(UInt64(bitPattern: n), ordering: .relaxed)
  }

  /// The counter of this name, which ends in `_total`, and these labels.
  public func counter(_ name: String, help: String, labels: Labels = .none) -> Counter {
    Counter(cell: cell(name, help, .counter, labels, size: 1))
  }

  /// Counters that differ in `label`, one for each value in the order given.
  public func counters(
    _ name: String,
    help: String,
    labels: Labels = .none,
    by label: String,
    values: [String]
  ) -> CounterRow {
    let key = values.reduce(labels) { $0.with(label, $1) }.rendered
    return state.withLock { state in
      declare(name, help, .counter, false, in: &state)
      if let row = state.families[name]?.rows[key] { return row }
      // A row is one run of cells: its counters must not exist yet, or be counted twice over.
      guard let first = take(values.count, name, in: &state) else { return CounterRow() }
      for (index, value) in values.enumerated() {
        let rendered = labels.with(label, value).rendered
        precondition(state.families[name]?.cell(of: rendered) == nil, "\(name) overlaps a row")
        let series = MetricFamily.Series(
          labels: rendered,
          cell: first + Int32(index),
          merge: .sum
        )
        state.families[name]?.insert(series)
      }
      let row = CounterRow(first: first, count: Int32(values.count))
      state.families[name]?.rows[key] = row
      return row
    }
  }

  /// The gauge of this name and these labels, whose parts the shards set.
  public func gauge(
    _ name: String,
    help: String,
    labels: Labels = .none,
    merge: GaugeMerge = .sum
  ) -> Gauge {
    Gauge(cell: cell(name, help, .gauge, labels, size: 1, merge: merge))
  }

  /// The duration histogram of this name, which ends in `_seconds`, and these labels.
  public func histogram(_ name: String, help: String, labels: Labels = .none) -> Histogram {
    Histogram(cell: cell(name, help, .histogram, labels, size: DurationBuckets.cells))
  }

  /// The requests of one route: a counter by method, code and code class.
  public func requests(_ name: String, help: String, labels: Labels) -> RequestCells {
    RequestCells(
      cell: cell(name, help, .counter, labels, size: RequestMethods.cells, countsRequests: true)
    )
  }

  /// Has `read` asked for values whenever metrics are read, on the reader's thread.
  ///
  /// The same name and key replace the callback, so that a reload can. It must not block.
  public func register(
    _ name: String,
    help: String,
    _ kind: MetricKind,
    key: String = "",
    read: @escaping @Sendable () -> [MetricSample]
  ) {
    precondition(kind != .histogram, "a histogram has cells")
    state.withLock { state in
      declare(name, help, kind, false, in: &state)
      state.families[name]?.replace(MetricFamily.Callback(key: key, read: read))
    }
  }

  /// The value of a counter over all shards.
  public func value(of counter: Counter) -> UInt64 { snapshot().sum(counter.cell) }

  /// The value of a summed gauge over all shards.
  public func value(of gauge: Gauge) -> Int64 { Int64(bitPattern: snapshot().sum(gauge.cell)) }

  /// What a scrape reads; copied under the lock, read without it.
  func snapshot() -> MetricSnapshot {
    let (families, spaces) = state.withLock { (Array($0.families.values), $0.spaces) }
    return MetricSnapshot(families: families.sorted { $0.name < $1.name }, spaces: spaces)
  }

  private func cell(
    _ name: String,
    _ help: String,
    _ kind: MetricKind,
    _ labels: Labels,
    size: Int,
    merge: GaugeMerge = .sum,
    countsRequests: Bool = false
  ) -> Int32 {
    let rendered = labels.rendered
    return state.withLock { state in
      declare(name, help, kind, countsRequests, in: &state)
      if let known = state.families[name]?.cell(of: rendered) { return known }
      let count = state.families[name]?.series.count ?? 0
      // The last place is kept for the overflow series.
      if count < seriesPerFamily - 1 || labels.pairs.isEmpty,
        let cell = take(size, name, in: &state)
      {
        let series = MetricFamily.Series(labels: rendered, cell: cell, merge: merge)
        state.families[name]?.insert(series)
        return cell
      }
      state.overflows[name, default: 0] += 1
      let other = labels.overflow.rendered
      if let known = state.families[name]?.cell(of: other) { return known }
      guard let cell = take(size, name, in: &state) else { return 0 }
      let series = MetricFamily.Series(labels: other, cell: cell, merge: merge)
      state.families[name]?.insert(series)
      return cell
    }
  }

  private func declare(
    _ name: String,
    _ help: String,
    _ kind: MetricKind,
    _ countsRequests: Bool,
    in state: inout State
  ) {
    if let known = state.families[name] {
      precondition(known.kind == kind && known.countsRequests == countsRequests, "\(name) twice")
      return
    }
    precondition(name.hasSuffix("_total") == (kind == .counter), "\(name) is misnamed")
    state.families[name] = MetricFamily(
      name: name,
      help: help,
      kind: kind,
      countsRequests: countsRequests
    )
  }

  /// Gives cells in whole cache lines where a block is larger than one.
  private func take(_ size: Int, _ name: String, in state: inout State) -> Int32? {
    let aligned = size >= 8 ? (state.nextCell + 7) & ~7 : state.nextCell
    guard aligned + size <= Self.cellsPerShard else { return nil }
    state.nextCell = aligned + size
    return Int32(aligned)
  }
}
