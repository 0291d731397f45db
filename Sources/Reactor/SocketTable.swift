internal import Units

/// What the reactor knows of one stream socket.
struct SocketEntry: BitwiseCopyable {
  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt32

    /// A connect is under way.
    static let connecting = Flags(rawValue: 1 << 0)
    /// The owner wants no bytes for now.
    static let paused = Flags(rawValue: 1 << 1)
    /// With epoll the socket may have more to read than was read; with io_uring it must be armed.
    static let readable = Flags(rawValue: 1 << 2)
    /// The peer's end was seen on the wire: read until it is read.
    static let hangup = Flags(rawValue: 1 << 3)
    /// The end of the stream, or a failure, was told to the owner.
    static let ended = Flags(rawValue: 1 << 4)
    /// The kernel took less than it was given; it says when it takes more.
    static let blocked = Flags(rawValue: 1 << 5)
    /// In the list of sockets with unsent bytes.
    static let dirty = Flags(rawValue: 1 << 6)
    /// In the list of sockets that want a look this turn.
    static let hot = Flags(rawValue: 1 << 7)
    /// The owner wants `drained` when the queue falls to `drainMark`.
    static let wantsDrain = Flags(rawValue: 1 << 8)
    /// `drained` is due.
    static let drainDue = Flags(rawValue: 1 << 9)
    /// A send failed; `error` says how and the owner is to be told.
    static let broken = Flags(rawValue: 1 << 10)
    /// Closed by the owner; the entry lives until its last operation came back.
    static let closed = Flags(rawValue: 1 << 11)
    /// Send FIN when the queue is empty.
    static let finish = Flags(rawValue: 1 << 12)
    /// io_uring: a receive is armed.
    static let armed = Flags(rawValue: 1 << 13)
    /// io_uring: a send is in the kernel.
    static let sending = Flags(rawValue: 1 << 14)
    /// io_uring: the armed receive is being cancelled.
    static let disarming = Flags(rawValue: 1 << 15)
    /// The last read filled its block: read several at once.
    static let bulk = Flags(rawValue: 1 << 16)
    /// Closing drops what is unsent and sends RST.
    static let reset = Flags(rawValue: 1 << 17)
    /// A failure was told to the owner, who hears of one only; it may follow the end of the stream.
    static let failed = Flags(rawValue: 1 << 18)
    /// The owner wants one block at a time.
    static let single = Flags(rawValue: 1 << 19)
  }

  var owner: Owner
  var descriptor: Int32
  var flags: Flags
  var firstSegment: Int32
  var lastSegment: Int32
  /// Bytes in the queue, those in the kernel's hands included.
  var queued: Int32
  var drainMark: Int32
  var nextDirty: Int32
  var nextHot: Int32
  /// Operations of io_uring that will still report.
  var operations: Int16
  var error: Int16
}

/// A stretch of a block that waits to be sent.
struct Segment: BitwiseCopyable {
  var block: Int32
  var start: Int32
  var count: Int32
  var next: Int32
}
