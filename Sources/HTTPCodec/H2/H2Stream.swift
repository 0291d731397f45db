/// A stream as the session knows it, in the slab of its workspace.
struct H2Stream: BitwiseCopyable {
  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt16

    /// The caller knows of it.
    static let isAnnounced = Flags(rawValue: 1 << 0)
    /// The final head came.
    static let hasHead = Flags(rawValue: 1 << 1)
    /// All of the peer's message came.
    static let isReceived = Flags(rawValue: 1 << 2)
    /// All of our message is sent.
    static let isSent = Flags(rawValue: 1 << 3)
    /// The library waits until more is offered.
    static let isDeferred = Flags(rawValue: 1 << 4)
    /// What is offered is the end of our body.
    static let endsBody = Flags(rawValue: 1 << 5)
    /// Trailers follow our body.
    static let wantsTrailers = Flags(rawValue: 1 << 6)
    /// Our body is sent, and trailers may be.
    static let isBodySent = Flags(rawValue: 1 << 7)
    /// Our final head is submitted.
    static let hasAnswered = Flags(rawValue: 1 << 8)
    /// The library has let go of it.
    static let isClosed = Flags(rawValue: 1 << 9)
    /// It stands in the list of streams with progress.
    static let isListed = Flags(rawValue: 1 << 10)
    /// Our caller reset it.
    static let isCancelled = Flags(rawValue: 1 << 11)
    /// The peer reset it.
    static let isResetByPeer = Flags(rawValue: 1 << 12)
    /// Its messages must have no body: the answer to HEAD, 204 or 304.
    static let isBodyless = Flags(rawValue: 1 << 13)
    /// A head of ours is on its way: before, the peer cannot have done anything for it.
    static let isStarted = Flags(rawValue: 1 << 14)
  }

  /// The number on the wire.
  var id: Int32
  var flags: Flags = []
  /// The method of a client's request.
  var method = Method.other
  var token: Int32 = -1
  var code = H2ErrorCode.noError
  /// Content-Length of the peer's message, or -1.
  var expected: Int64 = -1
  /// Bytes of the peer's body so far.
  var received: Int64 = 0
  /// Of these, what the caller has not consumed.
  var unconsumed = 0
  /// What our caller lends for sending.
  var offered: UnsafePointer<UInt8>?
  var offeredCount = 0
  /// Bytes sent since the caller asked last.
  var taken = 0
  /// Neighbours among the session's streams.
  var previous: Int32 = -1
  var next: Int32 = -1
  /// The next in the list of streams with progress, and of closed ones.
  var nextListed: Int32 = -1
  var nextClosed: Int32 = -1

  init(id: Int32) { self.id = id }
}
