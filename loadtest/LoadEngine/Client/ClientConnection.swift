internal import HTTPCodec

/// One connection to the target; it carries one request at a time.
struct ClientConnection: BitwiseCopyable {
  enum State: UInt8 {
    case connecting
    case idle
    /// Waits for a head, or for the rest of one.
    case head
    case body, chunks, trailers, untilClose
  }

  var state = State.connecting
  var keepsAlive = true
  var socket: Int32 = -1
  /// The call it works for, or -1.
  var call: Int32 = -1
  /// The beginning of a head or trailer section that is not whole yet: a block, or -1.
  var block: Int32 = -1
  var start: Int32 = 0
  var end: Int32 = 0
  /// Requests sent on it.
  var uses: UInt32 = 0
  var interims: UInt8 = 0
  /// Bytes of the present answer came.
  var hasAnswer = false
  var status: UInt16 = 0
  /// The reason that the answer gives, as a place of the account, or -1.
  var reason: Int16 = -1
  var bodyLeft: Int64 = 0
  var decoder = ChunkedDecoder(maximumExtensionBytes: 4_096)
  /// Neighbours among the idle ones.
  var previous: Int32 = -1
  var next: Int32 = -1
}
