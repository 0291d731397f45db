/// Read-only tables that the hot path of a shard looks into.
final class MetricTables: @unchecked Sendable {
  /// Upper bounds in nanoseconds, in order, then two that no value passes.
  let bounds: UnsafePointer<UInt64>
  /// By bit width of a value: the first bound that a value of this width may lie above.
  let firstBound: UnsafePointer<UInt8>
  /// By status minus 100: the slot of `StatusSlots`.
  let statusSlots: UnsafePointer<UInt8>

  init() {
    let upper = DurationBuckets.nanoseconds
    let padded = upper + [.max, .max]
    let bounds = UnsafeMutablePointer<UInt64>.allocate(capacity: padded.count)
    for (index, bound) in padded.enumerated() { bounds[index] = bound }

    let first = UnsafeMutablePointer<UInt8>.allocate(capacity: 65)
    for width in 0...64 {
      let smallest: UInt64 = width == 0 ? 0 : 1 << UInt64(width - 1)
      first[width] = UInt8(upper.firstIndex { $0 >= smallest } ?? upper.count)
    }

    let slots = UnsafeMutablePointer<UInt8>.allocate(capacity: 500)
    for status in 100...599 { slots[status - 100] = UInt8(StatusSlots.slot(of: status)) }

    self.bounds = UnsafePointer(bounds)
    self.firstBound = UnsafePointer(first)
    self.statusSlots = UnsafePointer(slots)
  }

  deinit {
    bounds.deallocate()
    firstBound.deallocate()
    statusSlots.deallocate()
  }
}
