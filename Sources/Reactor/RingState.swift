internal import CLinux
internal import Glibc

/// The rings of io_uring, and the buffers that are lent to the kernel for receives.
struct RingState: ~Copyable {
  static let entries: UInt32 = 2_048
  static let completionEntries: UInt32 = 16_384
  static let batch = 512
  /// Slots of the buffer ring; a power of two.
  static let bufferEntries = 1_024
  /// Blocks lent to the kernel at first; doubled each time it ran out of them.
  static let firstLoan = 64
  /// Vectored sends between two submissions.
  static let messages = 256

  let ring: UnsafeMutablePointer<io_uring>
  let completions: UnsafeMutablePointer<clinux_completion>
  var count = 0
  var cursor = 0
  private let bufferRing: UnsafeMutableRawPointer
  private let messageStore: UnsafeMutablePointer<msghdr>
  private let partStore: UnsafeMutablePointer<iovec>
  private var messagesUsed = 0
  /// System calls made on the ring.
  private(set) var enters: UInt64 = 0
  /// By socket: the kernel reads a connect's address at submission, after the call that wanted it.
  private let addresses: UnsafeMutablePointer<KernelAddress>
  /// The bell is being watched.
  var isBellArmed = false
  /// Some watch could not be armed.
  var hasUnarmed = false
  /// Operations whose cancel found no room.
  private var uncancelled: [UInt64] = []
  /// Blocks in the kernel's hands.
  private(set) var lent = 0
  private var loan = RingState.firstLoan

  init(pool: BlockPool, sockets: Int) throws(ReactorError) {
    let (ring, memory) = try Self.open()
    self.init(ring, memory, sockets: sockets)
    lend(from: pool)
  }

  private init(
    _ ring: UnsafeMutablePointer<io_uring>,
    _ bufferRing: UnsafeMutableRawPointer,
    sockets: Int
  ) {
    self.ring = ring
    self.bufferRing = bufferRing
    completions = .allocate(capacity: Self.batch)
    messageStore = .allocate(capacity: Self.messages)
    partStore = .allocate(capacity: Self.messages * Reactor.sendParts)
    // A page of it costs memory once a socket in it connects.
    addresses = .allocate(capacity: sockets)
  }

  /// The rings, and the one of buffers for receives.
  private static func open() throws(ReactorError) -> (
    UnsafeMutablePointer<io_uring>, UnsafeMutableRawPointer
  ) {
    let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
    // DEFER_TASKRUN runs completions only when we ask, in our own system call: fewest interruptions.
    var result = clinux_ring_open(ring, entries, completionEntries, 1)
    if result == -EINVAL { result = clinux_ring_open(ring, entries, completionEntries, 0) }
    guard result >= 0 else {
      ring.deallocate()
      throw ReactorError(call: "io_uring_setup", code: -result)
    }
    var memory: UnsafeMutableRawPointer?
    let size = bufferEntries * MemoryLayout<io_uring_buf>.stride
    guard posix_memalign(&memory, 4_096, size) == 0, let memory else {
      io_uring_queue_exit(ring)
      ring.deallocate()
      throw ReactorError(call: "posix_memalign", code: ENOMEM)
    }
    memset(memory, 0, size)
    result = clinux_buffers_register(ring, memory, UInt32(bufferEntries))
    guard result >= 0 else {
      io_uring_queue_exit(ring)
      ring.deallocate()
      free(memory)
      throw ReactorError(call: "io_uring_register", code: -result)
    }
    return (ring, memory)
  }

  func close() {
    io_uring_queue_exit(ring)
    ring.deallocate()
    completions.deallocate()
    messageStore.deallocate()
    partStore.deallocate()
    addresses.deallocate()
    free(bufferRing)
  }

  /// Tops up what the kernel may receive into.
  mutating func lend(from pool: BlockPool) {
    var added: Int32 = 0
    while lent < loan {
      let block = pool.acquire()
      guard block >= 0 else { break }
      clinux_buffers_add(
        bufferRing,
        UInt32(Self.bufferEntries),
        pool.bytes(block),
        UInt32(BlockPool.blockSize),
        UInt16(block),
        added
      )
      added += 1
      lent += 1
    }
    if added > 0 { clinux_buffers_advance(bufferRing, added) }
  }

  /// The kernel used one of the lent blocks.
  mutating func returned() { lent -= 1 }

  /// The kernel found no block: lend it more from now on.
  mutating func growLoan() { loan = min(loan * 2, Self.bufferEntries) }

  /// Hands over what is prepared, without waiting; what the kernel does not take waits on.
  mutating func submit() {
    enters &+= 1
    io_uring_submit(ring)
    reclaimMessages()
  }

  /// Messages may be used again only when the kernel has read all of them: one that still waits
  /// would otherwise send another socket's bytes.
  private mutating func reclaimMessages() {
    if clinux_ring_unsubmitted(ring) == 0 { messagesUsed = 0 }
  }

  /// Copies where a socket connects to; the copy stays as long as its entry.
  func keep(
    _ address: UnsafePointer<KernelAddress>,
    for socket: Int32
  ) -> UnsafePointer<KernelAddress> {
    let own = addresses + Int(socket)
    own.initialize(to: address.pointee)
    return UnsafePointer(own)
  }

  /// Ends an operation, as soon as there is room to say so.
  mutating func cancel(_ token: UInt64) {
    if clinux_ring_cancel(ring, token, Token.cancel.rawValue) == 0 { uncancelled.append(token) }
  }

  /// Whether something could not be prepared and has to be tried again soon.
  var isBehind: Bool { !isBellArmed || hasUnarmed || !uncancelled.isEmpty }

  /// Prepares the cancels that found no room before.
  mutating func retryCancels() {
    guard !uncancelled.isEmpty else { return }
    let tokens = uncancelled
    uncancelled = []
    for token in tokens { cancel(token) }
  }

  /// Submits, waits, and takes completions.
  mutating func turn(_ nanoseconds: Int64) {
    enters &+= 1
    _ = clinux_ring_turn(ring, nanoseconds)
    reclaimMessages()
    count = Int(clinux_ring_reap(ring, completions, UInt32(Self.batch)))
    cursor = 0
  }

  /// Room for a vectored send, which the kernel reads at submission; `nil` while all is waiting.
  mutating func nextMessage() -> (UnsafeMutablePointer<msghdr>, UnsafeMutableBufferPointer<iovec>)?
  {
    if messagesUsed == Self.messages { submit() }
    guard messagesUsed < Self.messages else { return nil }
    let message = messageStore + messagesUsed
    let parts = UnsafeMutableBufferPointer(
      start: partStore + messagesUsed * Reactor.sendParts,
      count: Reactor.sendParts
    )
    messagesUsed += 1
    return (message, parts)
  }
}
