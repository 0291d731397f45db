internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import Units

/// Calls on streams of a session.
extension LoadClient {
  private static let maximumInterims: UInt8 = 16

  /// Sends a call as a stream; false when the session has no room after all.
  func begin(_ index: Int32, onSession place: Int32) -> Bool {
    let connection = connections[place]
    guard hasRoom(connection), let workspace,
      let http2 = connection.pointee.http2?.takeUnretainedValue()
    else {
      unlist(place)
      return false
    }
    let call = calls[index]
    let request = prepared[Int(call.pointee.kind)]
    var list = H2FieldList(workspace)
    request.fill(&list)
    let hasBody = request.bodyLength > 0
    let stream = http2.request(request.method, fields: list, endsStream: !hasBody)
    guard stream >= 0 else {
      unlist(place)
      return false
    }
    http2.setToken(index, of: stream)
    callOfStream[Int(stream)] = index
    noteBegun(index, on: place)
    call.pointee.stream = stream
    call.pointee.previous = -1
    call.pointee.next = connection.pointee.call
    if connection.pointee.call >= 0 { calls[connection.pointee.call].pointee.previous = index }
    connection.pointee.call = index
    connection.pointee.streams += 1
    connection.pointee.uses += 1
    figures.mostStreams = max(figures.mostStreams, workspace.streamCount)
    if !hasRoom(connection) { unlist(place) }
    beginPace(index)
    if hasBody { offerBody(index, http2) }
    markDirty(place)
    return true
  }

  /// Offers what is due of a body; the rest when that is sent.
  func offerBody(_ index: Int32, _ http2: H2Session) {
    let call = calls[index]
    let request = prepared[Int(call.pointee.kind)]
    let offset = Int(call.pointee.sent)
    guard offset < request.bodyLength else { return }
    let due = min(request.bodyLength, dueBytes(call, of: request.bodyLength))
    guard due > offset else { return }
    let piece = request.body(at: offset)
    let count = min(piece.count, due - offset)
    let isLast = offset + count == request.bodyLength
    http2.offer(call.pointee.stream, piece.baseAddress, count: count, isLast ? .last : .more)
  }

  /// Takes a call off its session; its stream goes on without one.
  func detach(_ index: Int32, from place: Int32) {
    let connection = connections[place]
    let call = calls[index]
    if call.pointee.previous >= 0 {
      calls[call.pointee.previous].pointee.next = call.pointee.next
    } else {
      connection.pointee.call = call.pointee.next
    }
    if call.pointee.next >= 0 {
      calls[call.pointee.next].pointee.previous = call.pointee.previous
    }
    callOfStream[Int(call.pointee.stream)] = -1
    call.pointee.stream = -1
    connection.pointee.streams -= 1
  }

  /// A caller that gave up: its stream is reset.
  ///
  /// A session that was silent since it began takes no more, so that one which is not read, or not
  /// answered, holds no more streams than its bound however many callers give up.
  func giveUpStream(_ index: Int32) {
    let call = calls[index]
    let place = call.pointee.connection
    let connection = connections[place]
    drop(index, on: place, .cancel)
    if connection.pointee.heardAt < call.pointee.began { leave(place) }
  }

  /// Resets a stream and forgets it.
  private func drop(_ index: Int32, on place: Int32, _ code: H2ErrorCode) {
    let stream = calls[index].pointee.stream
    if let http2 = connections[place].pointee.http2?.takeUnretainedValue() {
      http2.setToken(-1, of: stream)
      http2.consume(stream, Int(calls[index].pointee.unread))
      http2.reset(stream, code)
    }
    detach(index, from: place)
    markDirty(place)
  }

  private func leave(_ place: Int32) {
    connections[place].pointee.isLeaving = true
    unlist(place)
    markDirty(place)
  }

  // MARK: - Answers

  func take(
    _ event: H2Event,
    of place: Int32,
    _ http2: H2Session,
    _ bytes: UnsafePointer<UInt8>
  ) {
    switch event.kind {
    case .goAway: return leave(place)
    case .response, .interim, .data, .trailers, .malformed: break
    case .request, .oversizedRequest, .settings, .pong: return
    }
    // Events of one reading may outlive their call, whose place may be another's by now.
    guard event.token >= 0, calls[event.token].pointee.stream == event.stream else {
      if event.kind == .data, event.stream >= 0 { http2.consume(event.stream, Int(event.count)) }
      return
    }
    let call = calls[event.token]
    switch event.kind {
    case .response:
      guard let head = workspace?.response(event) else { return }
      call.pointee.status = head.head.status
      if event.isLast {
        readStatus(call, head.bytes, head.fields, Int(head.head.fieldCount))
      }
    case .interim:
      call.pointee.interims += 1
      if call.pointee.interims > Self.maximumInterims {
        drop(event.token, on: place, .cancel)
        let reason = account.place(of: .tooManyInterim)
        return finishAttempt(event.token, reason: reason, cause: .error)
      }
    case .trailers:
      guard let section = workspace?.trailers(event) else { return }
      readStatus(call, section.bytes, section.fields, Int(section.section.fieldCount))
    case .data:
      look(event.token, bytes + Int(event.start), count: Int(event.count))
      if kinds[Int(call.pointee.kind)].pace?.pause ?? .zero > .zero, !event.isLast {
        pauseReading(event.token, Int(event.count))
      } else {
        http2.consume(event.stream, Int(event.count))
      }
    default:
      if let fault = event.fault {
        call.pointee.reason = Int16(word("malformed: \(fault.reason)"))
      }
      return
    }
    if event.isLast || event.kind == .trailers { answered(event.token, on: place, http2) }
  }

  private func look(_ index: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) {
    let call = calls[index]
    guard call.pointee.status >= 400, call.pointee.reason < 0, count > 0 else { return }
    let piece = UnsafeBufferPointer(start: bytes, count: count)
    call.pointee.reason = explain(index, call.pointee.status, piece)
  }

  private func readStatus(
    _ call: UnsafeMutablePointer<Call>,
    _ bytes: UnsafePointer<UInt8>,
    _ fields: UnsafePointer<HeadField>,
    _ count: Int
  ) {
    guard kinds[Int(call.pointee.kind)].isGRPC else { return }
    call.pointee.grpcStatus = GRPCStatus.find(bytes, fields, count)
  }

  /// The whole answer is there.
  private func answered(_ index: Int32, on place: Int32, _ http2: H2Session) {
    let call = calls[index]
    // An answer before the request was whole: the rest is of no use to anybody.
    let stream = call.pointee.stream
    http2.setToken(-1, of: stream)
    http2.consume(stream, Int(call.pointee.unread))
    if !http2.isSent(stream) { http2.reset(stream, .cancel) }
    detach(index, from: place)
    let result = judge(index, status: call.pointee.status, reason: Int(call.pointee.reason))
    finishAttempt(index, reason: result.reason, cause: result.cause)
  }

  /// A stream ended without a whole answer.
  func streamLost(_ closed: H2Closed, of place: Int32) {
    let call = calls[closed.token]
    guard call.pointee.stream == closed.stream else { return }
    detach(closed.token, from: place)
    if closed.isUnprocessed, !call.pointee.isResent {
      call.pointee.isResent = true
      figures.resent += 1
      return putBack(closed.token)
    }
    let reason =
      call.pointee.reason >= 0
      ? Int(call.pointee.reason) : word("stream-reset: \(Self.name(closed.code))")
    finishAttempt(closed.token, reason: reason, cause: .error)
  }

  private static func name(_ code: H2ErrorCode) -> String {
    switch code {
    case .noError: "no-error"
    case .protocolError: "protocol-error"
    case .internalError: "internal-error"
    case .flowControlError: "flow-control-error"
    case .streamClosed: "stream-closed"
    case .refusedStream: "refused-stream"
    case .cancel: "cancel"
    case .enhanceYourCalm: "enhance-your-calm"
    default: "code-\(code.rawValue)"
    }
  }
}
