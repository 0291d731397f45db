/// What nghttp2 asks for, and reports of our own frames.
extension H2State {
  /// What follows the bytes that are read.
  enum End {
    case none
    /// END_STREAM.
    case stream
    /// Trailers.
    case body
  }

  /// What there is of a body.
  enum Reading {
    case some(Int, End)
    /// Nothing until more is offered.
    case later
    /// No room in the output for now.
    case full
  }

  /// Below this many bytes a frame waits for the next block instead of filling up the last one.
  private static let smallestPiece = 512

  /// How much of a body goes into the next frame, at most `most` bytes.
  mutating func readData(_ index: Int32, most: Int) -> Reading {
    let entry = stream(index)
    let offered = entry.pointee.offeredCount
    let flags = entry.pointee.flags
    if offered == 0, !flags.contains(.endsBody) {
      entry.pointee.flags.insert(.isDeferred)
      return .later
    }
    let wanted = min(offered, most)
    let count = min(wanted, room &- H2FrameWalker.headerLength)
    if count < wanted, count < Self.smallestPiece { return .full }
    guard count == offered, flags.contains(.endsBody) else { return .some(count, .none) }
    guard flags.contains(.wantsTrailers) else { return .some(count, .stream) }
    if count == 0 { noteBodySent(index) }
    return .some(count, .body)
  }

  /// Writes a DATA frame of what was read just before.
  ///
  /// - Returns: False when there is no room.
  mutating func writeData(
    _ index: Int32,
    header: UnsafePointer<UInt8>,
    count: Int
  ) -> Bool {
    let entry = stream(index)
    let length = H2FrameWalker.headerLength
    guard let output, room >= length &+ count, count <= entry.pointee.offeredCount else {
      return false
    }
    (output + written).update(from: header, count: length)
    written &+= length
    if count > 0, let source = entry.pointee.offered {
      (output + written).update(from: source, count: count)
      written &+= count
      entry.pointee.offered = source + count
      entry.pointee.offeredCount &-= count
      entry.pointee.taken &+= count
    }
    room &-= length &+ count
    if entry.pointee.offeredCount == 0, entry.pointee.flags.contains(.wantsTrailers) {
      noteBodySent(index)
    }
    list(index)
    return true
  }

  private mutating func noteBodySent(_ index: Int32) {
    stream(index).pointee.flags.insert(.isBodySent)
    list(index)
  }

  // MARK: - Frames that were sent

  mutating func noteData(_ count: Int) { budget.earnData(count) }

  mutating func noteStarted(_ id: Int32) {
    guard let index = native?.index(of: id), index >= 0 else { return }
    stream(index).pointee.flags.insert(.isStarted)
  }

  mutating func noteSent(_ id: Int32) {
    guard let index = native?.index(of: id), index >= 0 else { return }
    stream(index).pointee.flags.insert(.isSent)
    // News, too, where it was a head that ended the message.
    list(index)
  }

  mutating func noteOwnReset(_ id: Int32) {
    if let index = native?.index(of: id), index >= 0,
      stream(index).pointee.flags.contains(.isCancelled)
    {
      return
    }
    budget.charge(.provokedReset)
  }

  mutating func noteOwnGoAway(_ code: H2ErrorCode) {
    // The caller's own GOAWAY is no failure, whatever its code.
    if code != .noError, !isLeaving, failure == nil { failure = .violation(code) }
  }
}
