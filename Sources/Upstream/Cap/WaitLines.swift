internal import Glibc
internal import Units

/// Lines of entries that wait, first come first served; an entry stands in one line at most.
///
/// Links lie beside the entries, by their numbers, so that any of them can leave at once. Memory of
/// entries that never wait is never touched.
public struct WaitLines: ~Copyable {
  /// Numbers are kept one higher, so that zeroed memory is nobody.
  private let next: UnsafeMutablePointer<Int32>
  private let previous: UnsafeMutablePointer<Int32>
  private let firsts: UnsafeMutablePointer<Int32>
  private let lasts: UnsafeMutablePointer<Int32>
  /// Entries in all lines.
  public private(set) var count = 0

  /// - Parameters:
  ///   - entries: Entries are numbered below this.
  ///   - lines: And lines below this.
  public init(entries: Int, lines: Int) {
    next = zeroedMemory(Int32.self, entries)
    previous = zeroedMemory(Int32.self, entries)
    firsts = zeroedMemory(Int32.self, lines)
    lasts = zeroedMemory(Int32.self, lines)
  }

  deinit {
    free(next)
    free(previous)
    free(firsts)
    free(lasts)
  }

  /// The first of a line, -1 where nobody stands.
  public func first(of line: Int32) -> Int32 { firsts[Int(line)] - 1 }

  /// The one behind an entry in its line, -1 behind the last.
  public func next(behind entry: Int32) -> Int32 { next[Int(entry)] - 1 }

  /// Puts an entry at the end of a line; it stands in none.
  public mutating func append(_ entry: Int32, to line: Int32) {
    let last = lasts[Int(line)]
    previous[Int(entry)] = last
    next[Int(entry)] = 0
    if last > 0 { next[Int(last) - 1] = entry + 1 } else { firsts[Int(line)] = entry + 1 }
    lasts[Int(line)] = entry + 1
    count += 1
  }

  /// Takes an entry out of the line in which it stands.
  public mutating func remove(_ entry: Int32, from line: Int32) {
    let (before, after) = (previous[Int(entry)], next[Int(entry)])
    if before > 0 { next[Int(before) - 1] = after } else { firsts[Int(line)] = after }
    if after > 0 { previous[Int(after) - 1] = before } else { lasts[Int(line)] = before }
    count -= 1
  }
}
