internal import Glibc

/// Pieces of memory of one size, packed without rounding, that give their pages back.
///
/// ```
/// region  │ chunk 0: 64 pieces │ chunk 1 │ ...        address space only, until it is used
/// ```
///
/// The lowest chunk that has room gives the next piece, so that chunks at the end run empty; of
/// those that are, one is kept for what comes next and the others go back to the kernel.
struct PieceRegion: ~Copyable {
  /// Pieces of a chunk: one bit of a word each.
  static let piecesPerChunk = 64

  private let base: UnsafeMutableRawPointer
  // Behind a pointer: Swift 6.3 crashes under the thread sanitizer where a number comes first.
  /// Bytes of a piece; 64 of them are whole pages.
  let size: Int
  private let chunks: Int
  private let chunkBytes: Int
  /// By chunk, a bit for each piece that is free.
  private let free: UnsafeMutablePointer<UInt64>
  /// No chunk before this one has a free piece.
  private var firstFree = 0
  /// Chunks that were used, and of these the ones of which no piece is given out now.
  private var touched = 0
  private var empty = 0
  /// Pieces given out.
  private(set) var inUse = 0

  /// Takes the addresses; `nil` where there is no such stretch of them.
  ///
  /// - Parameters:
  ///   - size: Bytes of a piece, a multiple of 64, so that a chunk is whole pages.
  ///   - chunks: The bound, in chunks.
  init?(size: Int, chunks: Int) {
    precondition(size > 0 && size % 64 == 0 && chunks > 0, "unvalidated size")
    let chunkBytes = size * Self.piecesPerChunk
    let memory = mmap(
      nil,
      chunkBytes * chunks,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
      -1,
      0
    )
    guard let memory, memory != MAP_FAILED else { return nil }
    self.size = size
    self.chunks = chunks
    self.chunkBytes = chunkBytes
    base = memory
    free = .allocate(capacity: chunks)
    free.initialize(repeating: .max, count: chunks)
  }

  deinit {
    munmap(base, chunkBytes * chunks)
    free.deallocate()
  }

  /// Where its pieces lie; this never changes.
  var addresses: Range<UnsafeMutableRawPointer> { base..<base + chunkBytes * chunks }

  /// A piece, or `nil` when all are given out.
  mutating func allocate() -> UnsafeMutableRawPointer? {
    while firstFree < chunks, free[firstFree] == 0 { firstFree += 1 }
    guard firstFree < chunks else { return nil }
    if firstFree == touched {
      touched += 1
    } else if free[firstFree] == .max {
      empty -= 1
    }
    let place = free[firstFree].trailingZeroBitCount
    free[firstFree] &= ~(1 << UInt64(place))
    inUse += 1
    return base + firstFree * chunkBytes + place * size
  }

  /// Takes a piece back.
  mutating func deallocate(_ pointer: UnsafeMutableRawPointer) {
    let (chunk, offset) = (pointer - base).quotientAndRemainder(dividingBy: chunkBytes)
    precondition(offset % size == 0, "no piece begins there")
    let bit: UInt64 = 1 << UInt64(offset / size)
    precondition(free[chunk] & bit == 0, "a piece was given back twice")
    free[chunk] |= bit
    inUse -= 1
    firstFree = min(firstFree, chunk)
    guard free[chunk] == .max else { return }
    empty += 1
    // One stays, or a client that comes and goes would cost its pages each time.
    guard empty > 1 else { return }
    madvise(base + chunk * chunkBytes, chunkBytes, MADV_DONTNEED)
  }
}
