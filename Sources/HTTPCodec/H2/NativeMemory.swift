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
/// So are those that each session has, but some are kept for the sessions to come: they are not cut
/// from slabs, as a crowd that came once would have its memory for good.
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

  /// Larger pieces that each session has, with the header.
  ///
  /// With nghttp2 1.52 these are the room for a frame, 16,394 bytes, and a table of 4 KiB. What is up to
  /// 256 bytes smaller than a room for a frame is as large.
  private static let frame = 16_640
  private static let table = 4_112
  /// Pieces of each of these that are kept, 1.3 MiB in all: what a worker opens sessions for in some
  /// milliseconds.
  private static var mostSpares: Int { largestPooled > 0 ? 64 : 0 }

  /// Most bytes that are held, in `inUse` and for later use.
  let bound: Int
  /// Bytes given out, with their headers.
  private(set) var inUse = 0
  /// Bytes of slabs, and of larger pieces given out or kept.
  private(set) var held = 0
  /// Times that nghttp2 was told that memory is out.
  private(set) var refusals: UInt64 = 0
  private var free = InlineArray<8, UnsafeMutableRawPointer?>(repeating: nil)
  /// The slabs, linked through their first word, and what is left of the newest.
  private var slabs: UnsafeMutableRawPointer?
  private var rest: UnsafeMutableRawPointer?
  private var restCount = 0
  /// Frames and tables that nobody has, linked like the slabs.
  private var spares = InlineArray<2, UnsafeMutableRawPointer?>(repeating: nil)
  private var spareCounts = InlineArray<2, Int>(repeating: 0)

  init(bound: Int) { self.bound = bound }

  deinit {
    Self.free(slabs)
    for kind in 0..<2 { Self.free(spares[kind]) }
  }

  private static func free(_ list: UnsafeMutableRawPointer?) {
    var next = list
    while let piece = next {
      next = piece.load(as: UnsafeMutableRawPointer?.self)
      piece.deallocate()
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
    let size = place < Self.classes ? Self.smallest << place : Self.large(count &+ Self.header)
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
    guard size <= Self.largestPooled else { return release(piece, size) }
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

  /// The size of a piece that is not cut from a slab.
  private static func large(_ size: Int) -> Int {
    size > frame &- 256 && size <= frame ? frame : size
  }

  /// The list that a piece may be kept in, or -1.
  private static func kind(_ size: Int) -> Int { size == frame ? 0 : size == table ? 1 : -1 }

  private mutating func large(_ size: Int) -> UnsafeMutableRawPointer? {
    let kind = Self.kind(size)
    if kind >= 0, let spare = spares[kind] {
      spares[kind] = spare.load(as: UnsafeMutableRawPointer?.self)
      spareCounts[kind] &-= 1
      return spare
    }
    guard makeRoom(size) else { return nil }
    held &+= size
    return .allocate(byteCount: size, alignment: Self.header)
  }

  private mutating func release(_ piece: UnsafeMutableRawPointer, _ size: Int) {
    let kind = Self.kind(size)
    guard kind >= 0, spareCounts[kind] < Self.mostSpares else {
      held &-= size
      piece.deallocate()
      return
    }
    piece.storeBytes(of: spares[kind], as: UnsafeMutableRawPointer?.self)
    spares[kind] = piece
    spareCounts[kind] &+= 1
  }

  /// Whether so many bytes more are within the bound, once nothing is kept if need be.
  private mutating func makeRoom(_ size: Int) -> Bool {
    if held &+ size > bound {
      for kind in 0..<2 {
        held &-= spareCounts[kind] &* (kind == 0 ? Self.frame : Self.table)
        Self.free(spares[kind])
        spares[kind] = nil
        spareCounts[kind] = 0
      }
    }
    return held &+ size <= bound
  }

  private mutating func pooled(_ place: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    if let piece = free[place] {
      free[place] = piece.load(as: UnsafeMutableRawPointer?.self)
      return piece
    }
    if restCount < size {
      // What is left of the old slab goes to the lists, largest pieces first.
      keepRest()
      guard makeRoom(Self.slab) else { return nil }
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
