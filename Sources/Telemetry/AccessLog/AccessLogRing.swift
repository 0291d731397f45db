public import Synchronization

/// A ring of access log records from one worker to the writer thread.
///
/// One thread at a time produces and one consumes. A record that finds no room is dropped and
/// counted; nobody waits. Records begin at multiples of 8 bytes and may run over the end of the ring.
///
///     size (4) | AccessRecord | field (1), length (2), bytes | ... | up to 7 bytes of nothing
public final class AccessLogRing: @unchecked Sendable {
  // Unchecked because of the pointers: the producer's state and the bytes between `head` and the
  // pending end are the producer's, those between `tail` and `head` the consumer's.
  @usableFromInline let bytes: UnsafeMutableRawPointer
  @usableFromInline let mask: Int
  @usableFromInline let producer: UnsafeMutablePointer<Producer>
  @usableFromInline let head: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let tail: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let droppedCount: UnsafeMutablePointer<Atomic<UInt64>>
  @usableFromInline let doorbell: Doorbell
  private let control: UnsafeMutableRawPointer

  @usableFromInline
  struct Producer {
    /// The end of the record being made.
    @usableFromInline var pending = 0
    /// Where the consumer was when last looked at.
    @usableFromInline var seenTail = 0
    @usableFromInline var isTorn = false

    @usableFromInline init() {}
  }

  /// The bytes before a record's fields.
  @usableFromInline static var headerSize: Int { 4 + MemoryLayout<AccessRecord>.size }

  /// The longest value of a field; a longer one is cut.
  @inlinable
  public static var maximumFieldLength: Int { 4_096 }

  /// - Parameters:
  ///   - capacity: Bytes, a power of two of at least 4 KiB. The default holds about 3,000 records,
  ///     30 ms of 100,000 requests per second.
  ///   - doorbell: Rung when the ring is half full and the writer sleeps.
  public init(capacity: Int = 1 << 20, doorbell: Doorbell) {
    precondition(capacity >= 4_096 && capacity & (capacity - 1) == 0, "unvalidated settings")
    bytes = .allocate(byteCount: capacity, alignment: 64)
    mask = capacity - 1
    self.doorbell = doorbell
    // Producer and consumer write to lines of their own; 128 because lines are fetched in pairs.
    control = .allocate(byteCount: 512, alignment: 128)
    head = (control + 0).bindMemory(to: Atomic<Int>.self, capacity: 1)
    tail = (control + 128).bindMemory(to: Atomic<Int>.self, capacity: 1)
    producer = (control + 256).bindMemory(to: Producer.self, capacity: 1)
    droppedCount = (control + 384).bindMemory(to: Atomic<UInt64>.self, capacity: 1)
    head.initialize(to: Atomic(0))
    tail.initialize(to: Atomic(0))
    producer.initialize(to: Producer())
    droppedCount.initialize(to: Atomic(0))
  }

  deinit {
    bytes.deallocate()
    control.deallocate()
  }

  /// Records that found no room.
  public var dropped: UInt64 { droppedCount.pointee.load(ordering: .relaxed) }

  /// Begins a record; `append` and one `commit` follow.
  @inlinable
  public func begin(_ record: borrowing AccessRecord) {
    producer.pointee.isTorn = false
    producer.pointee.pending = head.pointee.load(ordering: .relaxed)
    guard reserve(Self.headerSize) else { return }
    let start = producer.pointee.pending
    withUnsafeBytes(of: record) { put($0.baseAddress, $0.count, at: start + 4) }
    producer.pointee.pending = start + Self.headerSize
  }

  /// Appends bytes to the record, at most `maximumFieldLength` of them; each field once.
  @inlinable
  public func append(_ field: AccessField, _ value: UnsafePointer<UInt8>?, count: Int) {
    let count = min(max(0, count), Self.maximumFieldLength)
    guard count > 0, reserve(3 + count) else { return }
    let start = producer.pointee.pending
    let prefix = (field.rawValue, UInt8(count & 0xFF), UInt8(count >> 8))
    withUnsafeBytes(of: prefix) { put($0.baseAddress, 3, at: start) }
    put(UnsafeRawPointer(value), count, at: start + 3)
    producer.pointee.pending = start + 3 + count
  }

  /// Gives the record to the writer, or drops all of it when a part found no room.
  ///
  /// - Returns: False when the record was dropped.
  @inlinable
  @discardableResult
  public func commit() -> Bool {
    guard !producer.pointee.isTorn else {
      let count = droppedCount.pointee.load(ordering: .relaxed)
      droppedCount.pointee.store(count &+ 1, ordering: .relaxed)
      doorbell.ring()
      return false
    }
    let start = head.pointee.load(ordering: .relaxed)
    let end = producer.pointee.pending
    // The size is at a multiple of 8 and so never runs over the end.
    bytes.storeBytes(of: UInt32(end - start), toByteOffset: start & mask, as: UInt32.self)
    let next = (end + 7) & ~7
    head.pointee.store(next, ordering: .releasing)
    if next - producer.pointee.seenTail > mask / 2 { checkHalf(next) }
    return true
  }

  @usableFromInline
  func checkHalf(_ next: Int) {
    producer.pointee.seenTail = tail.pointee.load(ordering: .acquiring)
    if next - producer.pointee.seenTail > mask / 2 { doorbell.ring() }
  }

  /// Whether `count` more bytes have room, with those that align the next record.
  @inlinable
  func reserve(_ count: Int) -> Bool {
    if producer.pointee.isTorn { return false }
    let end = (producer.pointee.pending + count + 7) & ~7
    if end - producer.pointee.seenTail <= mask + 1 { return true }
    producer.pointee.seenTail = tail.pointee.load(ordering: .acquiring)
    if end - producer.pointee.seenTail <= mask + 1 { return true }
    producer.pointee.isTorn = true
    return false
  }

  @inlinable
  func put(_ source: UnsafeRawPointer?, _ count: Int, at position: Int) {
    guard let source else { return }
    let start = position & mask
    let first = min(count, mask + 1 - start)
    (bytes + start).copyMemory(from: source, byteCount: first)
    if first < count { bytes.copyMemory(from: source + first, byteCount: count - first) }
  }

  /// Whether more than half of the ring waits to be drained.
  var isHalfFull: Bool {
    // The producer may miss a sleeper that misses its record: that costs one bounded nap.
    head.pointee.load(ordering: .acquiring) - tail.pointee.load(ordering: .relaxed) > mask / 2
  }

  /// Gives every committed record to `body` as one run of bytes; only the consumer calls it.
  ///
  /// - Parameters:
  ///   - limit: Most records to give.
  ///   - scratch: Room to join a record that runs over the end of the ring.
  ///   - body: Called with each record; the bytes are valid during the call.
  /// - Returns: How many records there were.
  func drain(
    limit: Int = .max,
    scratch: inout [UInt8],
    _ body: (UnsafeRawBufferPointer) -> Void
  ) -> Int {
    var position = tail.pointee.load(ordering: .relaxed)
    let end = head.pointee.load(ordering: .acquiring)
    var count = 0
    while position < end, count < limit {
      let start = position & mask
      let size = Int(bytes.load(fromByteOffset: start, as: UInt32.self))
      if start + size <= mask + 1 {
        body(UnsafeRawBufferPointer(start: bytes + start, count: size))
      } else {
        let first = mask + 1 - start
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: UnsafeRawBufferPointer(start: bytes + start, count: first))
        scratch.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: size - first))
        scratch.withUnsafeBytes(body)
      }
      position += (size + 7) & ~7
      count += 1
      tail.pointee.store(position, ordering: .releasing)
    }
    return count
  }
}
