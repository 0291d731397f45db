internal import Glibc

/// Zeroed memory whose pages are touched only when they are used; it lives until it is given to
/// `free`.
///
/// For plain values, and for atomics, of which zero bytes are one of zero.
///
/// - Parameters:
///   - type: What an entry is.
///   - count: Entries; room for one is made where there are none.
/// - Returns: The first entry. Ends the process where there is no memory.
public func zeroedMemory<T: ~Copyable>(_ type: T.Type, _ count: Int) -> UnsafeMutablePointer<T> {
  // Nothing can be served without: each of these bounds is fixed at the start or by a reload.
  guard let memory = calloc(max(count, 1), MemoryLayout<T>.stride) else {
    fatalError("out of memory for a table of \(count) entries of \(MemoryLayout<T>.stride) bytes")
  }
  return memory.bindMemory(to: T.self, capacity: max(count, 1))
}
