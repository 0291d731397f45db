/// Names one counter of a registry; the default names a cell that nobody reads.
public struct Counter: Sendable, BitwiseCopyable {
  @usableFromInline let cell: Int32

  @inlinable
  public init() { cell = 0 }

  @inlinable
  init(cell: Int32) { self.cell = cell }
}

/// Names one gauge of a registry; the default names a cell that nobody reads.
public struct Gauge: Sendable, BitwiseCopyable {
  @usableFromInline let cell: Int32

  @inlinable
  public init() { cell = 0 }

  @inlinable
  init(cell: Int32) { self.cell = cell }
}

/// Names one histogram of a registry; the default names cells that nobody reads.
public struct Histogram: Sendable, BitwiseCopyable {
  /// The sum in nanoseconds; the buckets of `DurationBuckets` follow it.
  @usableFromInline let cell: Int32

  @inlinable
  public init() { cell = 0 }

  @inlinable
  init(cell: Int32) { self.cell = cell }
}

/// Names a run of counters that differ in one label, found by the raw value of an enum.
public struct CounterRow: Sendable, BitwiseCopyable {
  @usableFromInline let first: Int32
  /// How many counters the row has.
  public let count: Int32

  @inlinable
  public init() {
    first = 0
    count = 0
  }

  @inlinable
  init(first: Int32, count: Int32) {
    self.first = first
    self.count = count
  }

  /// The counter at `index`, in `0..<count`; one that nobody reads outside of that.
  @inlinable
  public subscript(index: Int) -> Counter {
    index >= 0 && index < Int(count) ? Counter(cell: first &+ Int32(index)) : Counter()
  }
}

/// Names the method and code block of one route; the default names one that nobody reads.
public struct RequestCells: Sendable, BitwiseCopyable {
  /// A mask of the methods seen; `StatusSlots.count` cells a method follow it.
  @usableFromInline let cell: Int32

  @inlinable
  public init() { cell = 0 }

  @inlinable
  init(cell: Int32) { self.cell = cell }
}
