internal import Glibc

/// Fixed blocks of memory for bytes on their way through, with a bound and reference counts.
///
/// One worker owns a pool; nothing else touches it. Blocks are reused last in, first out, so a
/// quiet worker keeps touching the same few pages. A block is shared between the connection that
/// received it and the one that sends it on, which is why it counts references.
public final class BlockPool {
  /// Bytes in a block: one request head, or a quarter of a direction's high watermark.
  public static let blockSize = 16_384

  /// Most blocks that can be in use at once.
  public let capacity: Int
  @usableFromInline let memory: UnsafeMutablePointer<UInt8>
  @usableFromInline let references: UnsafeMutablePointer<Int32>
  @usableFromInline let free: UnsafeMutablePointer<Int32>
  @usableFromInline var freeCount = 0
  private var touched: Int32 = 0
  /// Entries at the bottom of `free` whose memory the kernel has back.
  private var returned = 0

  /// How often a block was wanted and the bound was reached.
  public private(set) var exhaustions: UInt64 = 0

  /// - Parameter capacity: The bound in blocks, in `1...32768`: io_uring names them in 16 bits.
  public init(capacity: Int) {
    precondition((1...32_768).contains(capacity), "unvalidated capacity")
    self.capacity = capacity
    let size = capacity * Self.blockSize
    guard
      let bytes = mmap(
        nil,
        size,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1,
        0
      ),
      bytes != MAP_FAILED
    else { fatalError("no address space for \(size) bytes of buffers") }
    memory = bytes.bindMemory(to: UInt8.self, capacity: size)
    references = .allocate(capacity: capacity)
    references.initialize(repeating: 0, count: capacity)
    free = .allocate(capacity: capacity)
  }

  deinit {
    munmap(memory, capacity * Self.blockSize)
    references.deallocate()
    free.deallocate()
  }

  /// Blocks that somebody holds.
  public var inUse: Int { Int(touched) - freeCount }

  /// Whether the next `acquire` fails.
  public var isExhausted: Bool { freeCount == 0 && Int(touched) == capacity }

  /// Takes a block with one reference.
  ///
  /// - Returns: Its index, or -1 when the bound is reached.
  public func acquire() -> Int32 {
    let index: Int32
    if freeCount > 0 {
      freeCount -= 1
      index = free[freeCount]
      if freeCount < returned { returned = freeCount }
    } else if Int(touched) < capacity {
      index = touched
      touched += 1
    } else {
      exhaustions += 1
      return -1
    }
    references[Int(index)] = 1
    return index
  }

  /// Adds a reference.
  @inlinable
  public func retain(_ block: Int32) { references[Int(block)] += 1 }

  /// Drops a reference; the last one frees the block.
  @inlinable
  public func release(_ block: Int32) {
    references[Int(block)] -= 1
    guard references[Int(block)] == 0 else { return }
    free[freeCount] = block
    freeCount += 1
  }

  /// Gives the memory of blocks that nobody holds back to the kernel, longest unused first.
  ///
  /// A block that is wanted later costs a page fault for each of its pages.
  ///
  /// - Parameters:
  ///   - spare: Free blocks that stay as they are.
  ///   - most: Blocks given back by this call: each takes the kernel about a microsecond.
  /// - Returns: How many were given back.
  @discardableResult
  public func giveBack(sparing spare: Int, atMost most: Int) -> Int {
    let end = min(returned + most, freeCount - spare)
    guard returned < end else { return 0 }
    for entry in returned..<end { madvise(bytes(free[entry]), Self.blockSize, MADV_DONTNEED) }
    defer { returned = end }
    return end - returned
  }

  /// Whether the caller's reference is the only one, so that the block may be written.
  @inlinable
  public func isUnique(_ block: Int32) -> Bool { references[Int(block)] == 1 }

  /// The block's bytes.
  @inlinable
  public func bytes(_ block: Int32) -> UnsafeMutablePointer<UInt8> {
    memory + Int(block) * Self.blockSize
  }
}
