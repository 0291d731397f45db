/// Streams that a peer has ended or passed over lately, on which it may send no more.
///
/// nghttp2 forgets a stream when it is closed and passes over what still comes for it, since its
/// own reset may have crossed it on the way. Where the peer itself has ended or reset the stream, or
/// never opened it, there is no such excuse: the frames are an error of the connection, and a flood
/// of them ends at the first one.
///
/// Source: RFC 9113 sections 5.1 and 5.1.1.
struct H2StreamHistory: BitwiseCopyable {
  private static let size = 32

  /// The last streams that the peer ended, in a ring; 0 is none.
  private var ended = InlineArray<32, UInt32>(repeating: 0)
  private var next = 0
  /// The highest stream that was begun, and the last stretch of those passed over before one.
  private var highest: UInt32 = 0
  private var gap: (low: UInt32, high: UInt32) = (1, 0)

  /// Notes a frame.
  ///
  /// - Returns: The error that it is, if it is one.
  @inline(__always)
  mutating func judge(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32) -> H2ErrorCode? {
    switch kind {
    case H2FrameWalker.Kind.headers:
      if stream > highest {
        // Those of clients are odd.
        if stream > highest &+ 2 { gap = ((highest &+ 1) | 1, stream &- 2) }
        highest = stream
      } else if stream >= gap.low, stream <= gap.high {
        return .protocolError
      } else if hasEnded(stream) {
        return .streamClosed
      }
    case H2FrameWalker.Kind.data: if hasEnded(stream) { return .streamClosed }
    case H2FrameWalker.Kind.reset:
      // Of a stream that was begun; a reset behind the end is nothing new.
      if stream <= highest, !hasEnded(stream) { note(stream) }
      return nil
    default: return nil
    }
    if flags & H2FrameWalker.Flag.endStream != 0 { note(stream) }
    return nil
  }

  /// Whether the stream, or one above it, was begun before.
  func hasBegun(_ stream: UInt32) -> Bool { stream <= highest }

  private func hasEnded(_ stream: UInt32) -> Bool {
    guard stream > 0 else { return false }
    var found = false
    for index in 0..<Self.size { found = found || ended[index] == stream }
    return found
  }

  private mutating func note(_ stream: UInt32) {
    ended[next] = stream
    next = (next &+ 1) % Self.size
  }
}
