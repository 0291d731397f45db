internal import Glibc

/// Entries of one kind in one stretch of memory, named by index and generation.
///
/// The capacity is fixed when the slab is made and its pages are touched only when they are used,
/// so a generous bound costs address space, not memory. Pointers to entries stay valid for the
/// slab's whole life. Freed entries are reused last in, first out: the warm ones first.
@frozen
public struct Slab<Element: BitwiseCopyable>: ~Copyable {
  /// The entries; index it only with what `allocate` gave.
  public let base: UnsafeMutablePointer<Element>
  /// Most entries that can be live at once.
  public let capacity: Int
  @usableFromInline let generations: UnsafeMutablePointer<UInt32>
  @usableFromInline let nextFree: UnsafeMutablePointer<Int32>
  @usableFromInline var freeHead: Int32 = -1
  @usableFromInline var touched: Int32 = 0
  @usableFromInline var live = 0

  /// - Parameter capacity: The bound, at least 1.
  public init(capacity: Int) {
    precondition(capacity >= 1 && capacity <= Int(Int32.max), "unvalidated capacity")
    self.capacity = capacity
    base = zeroedMemory(Element.self, capacity)
    generations = zeroedMemory(UInt32.self, capacity)
    nextFree = zeroedMemory(Int32.self, capacity)
  }

  deinit {
    free(base)
    free(generations)
    free(nextFree)
  }

  /// Entries that are allocated now.
  @inlinable
  public var count: Int { live }

  /// Takes an entry, not yet initialised.
  ///
  /// - Returns: Its index, or -1 when the bound is reached.
  @inlinable
  public mutating func allocate() -> Int32 {
    var index = freeHead
    if index >= 0 {
      freeHead = nextFree[Int(index)]
    } else {
      guard Int(touched) < capacity else { return -1 }
      index = touched
      touched += 1
    }
    generations[Int(index)] &+= 1
    live += 1
    return index
  }

  /// Gives an entry back; names that carry its generation no longer match.
  @inlinable
  public mutating func release(_ index: Int32) {
    generations[Int(index)] &+= 1
    nextFree[Int(index)] = freeHead
    freeHead = index
    live -= 1
  }

  /// The generation of an entry: odd while it is live.
  @inlinable
  public func generation(_ index: Int32) -> UInt32 { generations[Int(index)] }

  /// The entry's place in memory.
  @inlinable
  public subscript(_ index: Int32) -> UnsafeMutablePointer<Element> { base + Int(index) }
}
