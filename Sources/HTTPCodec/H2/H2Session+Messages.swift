/// Messages of ours.
///
/// A stream named here is one that an event or `request` gave and that `nextClosed` has not given
/// back. On a stream that is closing all of this does nothing.
extension H2Session {
  /// Where an offer stands in its body.
  public enum Offer: UInt8, Sendable, BitwiseCopyable {
    /// More is offered later.
    case more
    /// The message ends behind these bytes.
    case last
    /// Trailers follow these bytes.
    case beforeTrailers
  }

  /// Attaches the caller's own number to a stream, for events and `nextClosed`.
  public func setToken(_ token: Int32, of stream: Int32) {
    state.pointee.stream(stream).pointee.token = token
  }

  /// The stream's number on the wire, for logs.
  public func number(of stream: Int32) -> Int32 { state.pointee.stream(stream).pointee.id }

  /// Sends the final head of a response.
  ///
  /// - Parameters:
  ///   - stream: Of a request.
  ///   - status: In `200...599`.
  ///   - fields: Without `:status`, which is put before them.
  ///   - endsStream: Whether no body and no trailers follow.
  /// - Returns: False when the stream is closing, has its head, or the list is overfull.
  public func respond(
    _ stream: Int32,
    status: Int,
    fields: borrowing H2FieldList,
    endsStream: Bool
  ) -> Bool {
    let entry = state.pointee.stream(stream)
    guard isUsable(entry), !entry.pointee.flags.contains(.hasAnswered), !fields.isOverfull else {
      return false
    }
    entry.pointee.flags.insert(.hasAnswered)
    let isDone = native.respond(
      entry.pointee.id,
      status: status,
      fields,
      index: stream,
      hasBody: !endsStream
    )
    state.pointee.expect(isDone)
    return isDone
  }

  /// Sends the head of an interim response.
  ///
  /// - Parameters:
  ///   - stream: Of a request without a final response.
  ///   - status: In `100...199`, but not 101.
  ///   - fields: As in `respond`.
  /// - Returns: False when the stream is closing or has its final head.
  public func inform(_ stream: Int32, status: Int, fields: borrowing H2FieldList) -> Bool {
    let entry = state.pointee.stream(stream)
    guard isUsable(entry), !entry.pointee.flags.contains(.hasAnswered), !fields.isOverfull else {
      return false
    }
    let isDone = native.inform(entry.pointee.id, status: status, fields)
    state.pointee.expect(isDone)
    return isDone
  }

  /// Sends a request.
  ///
  /// - Parameters:
  ///   - method: What the response is judged by.
  ///   - fields: With the pseudo-header fields first.
  ///   - endsStream: Whether no body and no trailers follow.
  /// - Returns: The stream, or -1 when `canRequest` is false, no stream is free, or the list is
  ///   overfull.
  public func request(
    _ method: Method,
    fields: borrowing H2FieldList,
    endsStream: Bool
  ) -> Int32 {
    guard canRequest, !fields.isOverfull else { return -1 }
    let index = state.pointee.open(0)
    guard index >= 0 else { return -1 }
    let id = native.request(fields, index: index, hasBody: !endsStream)
    guard id > 0 else {
      state.pointee.release(index)
      return -1
    }
    let entry = state.pointee.stream(index)
    entry.pointee.id = id
    entry.pointee.method = method
    entry.pointee.flags.formUnion([.isAnnounced, .hasAnswered])
    state.pointee.budget.earnRequest()
    return index
  }

  /// Whether the peer takes another request now.
  public var canRequest: Bool {
    !state.pointee.isCut && native.allowsRequest && openStreams < native.peerMaximumStreams
  }

  /// Lends bytes of a body, which must stay where they are until they were sent, the stream is
  /// closed, or another offer is made.
  ///
  /// What was offered before and is not sent yet is replaced: offer what is left of it, too.
  ///
  /// - Parameters:
  ///   - stream: With its head sent and its end not offered.
  ///   - bytes: What follows what `takeSent` has told of.
  ///   - count: How much; 0 where only the end is to be said.
  ///   - place: What follows.
  public func offer(
    _ stream: Int32,
    _ bytes: UnsafePointer<UInt8>?,
    count: Int,
    _ place: Offer
  ) {
    let entry = state.pointee.stream(stream)
    guard isUsable(entry), !entry.pointee.flags.contains(.isBodySent) else { return }
    entry.pointee.offered = bytes
    entry.pointee.offeredCount = bytes == nil ? 0 : count
    if place != .more { entry.pointee.flags.insert(.endsBody) }
    if place == .beforeTrailers { entry.pointee.flags.insert(.wantsTrailers) }
    if entry.pointee.flags.contains(.isDeferred) {
      entry.pointee.flags.remove(.isDeferred)
      state.pointee.expect(native.resume(entry.pointee.id))
    }
  }

  /// Bytes of the stream's body that were sent since this was asked last.
  public func takeSent(_ stream: Int32) -> Int {
    let entry = state.pointee.stream(stream)
    let count = entry.pointee.taken
    entry.pointee.taken = 0
    return count
  }

  /// Whether the body is sent up to where trailers belong.
  public func awaitsTrailers(_ stream: Int32) -> Bool {
    let entry = state.pointee.stream(stream)
    return isUsable(entry) && entry.pointee.flags.isSuperset(of: [.isBodySent, .wantsTrailers])
  }

  /// Whether all of our message is sent, its end included.
  public func isSent(_ stream: Int32) -> Bool {
    state.pointee.stream(stream).pointee.flags.contains(.isSent)
  }

  /// Bytes that the peer's windows have room for on a stream; below 0 where SETTINGS shrank them.
  public func window(_ stream: Int32) -> Int {
    native.window(state.pointee.stream(stream).pointee.id)
  }

  /// Sends trailers and ends the message; to be called when `awaitsTrailers`.
  ///
  /// - Returns: False when it is not the time.
  public func finish(_ stream: Int32, trailers: borrowing H2FieldList) -> Bool {
    guard awaitsTrailers(stream), !trailers.isOverfull else { return false }
    let entry = state.pointee.stream(stream)
    entry.pointee.flags.remove(.wantsTrailers)
    let isDone = native.finish(entry.pointee.id, trailers)
    state.pointee.expect(isDone)
    return isDone
  }

  /// Tells that `count` bytes of the peer's body were dealt with, which lets as many come anew.
  public func consume(_ stream: Int32, _ count: Int) {
    let entry = state.pointee.stream(stream)
    let consumed = min(count, entry.pointee.unconsumed)
    guard consumed > 0, !state.pointee.isCut else { return }
    entry.pointee.unconsumed -= consumed
    let isDone =
      entry.pointee.flags.contains(.isClosed)
      ? native.consume(consumed) : native.consume(entry.pointee.id, consumed)
    state.pointee.expect(isDone)
  }

  /// Bytes of the peer's body that were told of and not consumed.
  public func unconsumed(_ stream: Int32) -> Int {
    state.pointee.stream(stream).pointee.unconsumed
  }

  /// Ends the stream at once, in both directions; `nextClosed` tells when it is done.
  public func reset(_ stream: Int32, _ code: H2ErrorCode) {
    let entry = state.pointee.stream(stream)
    guard isUsable(entry) else { return }
    entry.pointee.flags.insert(.isCancelled)
    entry.pointee.offered = nil
    entry.pointee.offeredCount = 0
    state.pointee.expect(native.reset(entry.pointee.id, code))
  }

  private func isUsable(_ entry: UnsafeMutablePointer<H2Stream>) -> Bool {
    !state.pointee.isCut && entry.pointee.flags.isDisjoint(with: [.isClosed, .isCancelled])
  }
}
