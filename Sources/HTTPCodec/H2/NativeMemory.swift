internal import CNghttp2

/// Where nghttp2 takes its memory from: pieces of a few sizes, kept per worker, up to a bound.
///
/// ```
/// size 16 | piece ...            the size stands before each piece that is given out
/// ```
///
/// Sessions of one worker share it, and no other thread comes near, so there is no lock. Pieces up to
/// 4 KiB are cut from slabs of 64 KiB and go back to a list of their size; slabs stay until the end.
/// Larger ones, such as the room for a field section, are the C library's, and counted all the same.
/// At the bound nghttp2 is told that memory is out: what it was doing fails, and its session with it
/// where it cannot do without.
struct NativeMemory: ~Copyable {
  /// In front of each piece; keeps the alignment of `malloc`.
  private static let header = 16
  private static let slab = 65_536
  /// Sizes of pieces, with their header: 32 bytes, 64 and so on up to 4,096.
  private static let classes = 8
  private static let smallest = 32
  private static var largestPooled: Int {
    // Sanitizers see into the C library's pieces only.
    #if PLAIN_MEMORY
    0
    #else
    smallest << (classes - 1)
    #endif
  }

  /// Most bytes that are held, in `inUse` and for later use.
  let bound: Int
  /// Bytes given out, with their headers.
  private(set) var inUse = 0
  /// Bytes of slabs, and of larger pieces given out.
  private(set) var held = 0
  /// Times that nghttp2 was told that memory is out.
  private(set) var refusals: UInt64 = 0
  private var free = InlineArray<8, UnsafeMutableRawPointer?>(repeating: nil)
  /// The slabs, linked through their first word, and what is left of the newest.
  private var slabs: UnsafeMutableRawPointer?
  private var rest: UnsafeMutableRawPointer?
  private var restCount = 0

  init(bound: Int) { self.bound = bound }

  deinit {
    var next = slabs
    while let slab = next {
      next = slab.load(as: UnsafeMutableRawPointer?.self)
      slab.deallocate()
    }
  }

  /// The class of a piece with its header, or `classes` for one of the C library's.
  private static func place(_ size: Int) -> Int {
    if size > largestPooled { return classes }
    return size <= smallest
      ? 0 : Int.bitWidth - (size &- 1).leadingZeroBitCount &- smallest.trailingZeroBitCount
  }

  /// A piece of at least `count` bytes, or `nil` at the bound.
  mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
    // What is larger than the bound is refused before it is added to anything.
    guard count >= 0, count <= bound else { return refuse() }
    let place = Self.place(count &+ Self.header)
    let size = place < Self.classes ? Self.smallest << place : count &+ Self.header
    guard let piece = place < Self.classes ? pooled(place, size) : large(size) else {
      return refuse()
    }
    piece.storeBytes(of: size, as: Int.self)
    inUse &+= size
    return piece + Self.header
  }

  mutating func deallocate(_ pointer: UnsafeMutableRawPointer) {
    let piece = pointer - Self.header
    let size = piece.load(as: Int.self)
    inUse &-= size
    guard size <= Self.largestPooled else {
      held &-= size
      piece.deallocate()
      return
    }
    let place = Self.place(size)
    piece.storeBytes(of: free[place], as: UnsafeMutableRawPointer?.self)
    free[place] = piece
  }

  mutating func reallocate(
    _ pointer: UnsafeMutableRawPointer,
    _ count: Int
  ) -> UnsafeMutableRawPointer? {
    let room = (pointer - Self.header).load(as: Int.self) &- Self.header
    if count <= room { return pointer }
    guard let larger = allocate(count) else { return nil }
    larger.copyMemory(from: pointer, byteCount: room)
    deallocate(pointer)
    return larger
  }

  private mutating func refuse() -> UnsafeMutableRawPointer? {
    refusals &+= 1
    return nil
  }

  private mutating func large(_ size: Int) -> UnsafeMutableRawPointer? {
    guard held &+ size <= bound else { return nil }
    held &+= size
    return .allocate(byteCount: size, alignment: Self.header)
  }

  private mutating func pooled(_ place: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    if let piece = free[place] {
      free[place] = piece.load(as: UnsafeMutableRawPointer?.self)
      return piece
    }
    if restCount < size {
      // What is left of the old slab goes to the lists, largest pieces first.
      keepRest()
      guard held &+ Self.slab <= bound else { return nil }
      held &+= Self.slab
      let slab = UnsafeMutableRawPointer.allocate(
        byteCount: Self.slab,
        alignment: Self.header
      )
      slab.storeBytes(of: slabs, as: UnsafeMutableRawPointer?.self)
      slabs = slab
      rest = slab + Self.smallest
      restCount = Self.slab &- Self.smallest
    }
    let piece = rest
    rest = rest.map { $0 + size }
    restCount &-= size
    return piece
  }

  private mutating func keepRest() {
    var place = Self.classes &- 1
    while place >= 0, let piece = rest {
      let size = Self.smallest << place
      if restCount >= size {
        piece.storeBytes(of: free[place], as: UnsafeMutableRawPointer?.self)
        free[place] = piece
        rest = piece + size
        restCount &-= size
      } else {
        place &-= 1
      }
    }
    rest = nil
    restCount = 0
  }

  // MARK: - What nghttp2 calls

  /// The hooks over memory at a place that does not move.
  static func hooks(_ memory: UnsafeMutablePointer<NativeMemory>) -> nghttp2_mem {
    nghttp2_mem(
      mem_user_data: memory,
      malloc: { count, context in memoryOf(context).pointee.allocate(count) },
      free: { pointer, context in
        if let pointer { memoryOf(context).pointee.deallocate(pointer) }
      },
      calloc: { count, size, context in
        let (total, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, let piece = memoryOf(context).pointee.allocate(total) else { return nil }
        piece.initializeMemory(as: UInt8.self, repeating: 0, count: total)
        return piece
      },
      realloc: { pointer, count, context in
        guard let pointer else { return memoryOf(context).pointee.allocate(count) }
        return memoryOf(context).pointee.reallocate(pointer, count)
      }
    )
  }
}

// A free function, as a closure for C must not capture the type either.
@inline(__always)
private func memoryOf(_ context: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<NativeMemory> {
  guard let context else { fatalError("nghttp2 lost its memory") }
  return context.assumingMemoryBound(to: NativeMemory.self)
}
