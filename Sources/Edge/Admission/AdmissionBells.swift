internal import Synchronization

/// Which services of a worker were rung for: a bit each, set by other workers and taken by this one.
struct AdmissionBells: ~Copyable, Sendable {
  private static let words = AdmissionDirectory.capacity / 64
  nonisolated(unsafe) private let bits: UnsafeMutablePointer<Atomic<UInt64>>

  init() {
    bits = .allocate(capacity: Self.words)
    for index in 0..<Self.words { (bits + index).initialize(to: Atomic(0)) }
  }

  deinit {
    bits.deinitialize(count: Self.words)
    bits.deallocate()
  }

  func ring(_ slot: Int32) {
    bits[Int(slot) >> 6].bitwiseOr(1 << UInt64(slot & 63), ordering: .sequentiallyConsistent)
  }

  /// Takes all that were set.
  func take(_ body: (Int32) -> Void) {
    for word in 0..<Self.words where bits[word].load(ordering: .sequentiallyConsistent) != 0 {
      var seen = bits[word].exchange(0, ordering: .sequentiallyConsistent)
      while seen != 0 {
        body(Int32(word * 64 + seen.trailingZeroBitCount))
        seen &= seen - 1
      }
    }
  }
}
