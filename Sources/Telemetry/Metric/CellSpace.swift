import Glibc
internal import Synchronization

/// Zeroed memory of one shard, at one address for its whole life.
///
/// The address range of all cells is reserved at once and the kernel gives a page when it is first
/// written, so a route without traffic costs no memory and no pointer is ever looked up.
final class CellSpace: @unchecked Sendable {
  let base: UnsafeMutablePointer<Atomic<UInt64>>
  private let length: Int

  init(cells: Int) {
    length = cells * MemoryLayout<Atomic<UInt64>>.stride
    let memory = mmap(
      nil,
      length,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
      -1,
      0
    )
    // As with a failed allocation: the process has not started yet, there is nothing to save.
    guard let memory, memory != MAP_FAILED else {
      fatalError("no address space for \(length) bytes of metrics: errno \(errno)")
    }
    // Zero bytes are a valid Atomic<UInt64> of zero.
    base = memory.bindMemory(to: Atomic<UInt64>.self, capacity: cells)
  }

  deinit { munmap(base, length) }

  func value(_ cell: Int) -> UInt64 { base[cell].load(ordering: .relaxed) }
}
