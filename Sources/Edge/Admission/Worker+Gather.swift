internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// Requests whose bodies have to come before a permit is asked for.
///
/// A head costs a client nothing, and a permit is a share of the service: with heads alone, one could
/// hold as many of them as there are for as long as bodies may take. So the question is put once the
/// body is whole, or a block of it is there, from which on the client has to keep its pace
/// (`Worker+ClientPace`). Meanwhile the client owes the minimum rate, and the whole has its time-out.
///
/// - A body without a length may be half of a conversation, whose other half the client awaits before
///   it goes on: after `patience` the question is put whatever is there, and a permit that is given
///   then is given back as soon as the client is waited for.
/// - Calls of gRPC without a length are asked for at once, since most of them are such conversations.
/// - Who waits for 100 is asked for at once, too: it is the service that sends it, as a proxy has to
///   pass the expectation on (RFC 9110 section 10.1.1).
/// - In shadow nobody is made to wait, and nothing is gathered while blocks are short, or so many are
///   gathered that they alone would make an eighth of the edge's own overload.
extension Worker {
  /// Bytes of a body that are enough.
  private static let enough = Int64(BlockPool.blockSize)
  /// How long a body without a length is waited for: as long as a client may be waited for in all.
  private static let patience = AdmissionPlace.clientPatience

  /// Whether there is enough of the body to ask for a permit.
  func hasBody(_ connection: Int32, _ view: RequestView) -> Bool {
    guard view.head.isChunked || view.head.contentLength > 0 else { return true }
    guard !view.head.expectsContinue, !view.head.wantsUpgrade else { return true }
    if view.head.isChunked,
      MediaType.isGRPC(view.bytes, view.fields, Int(view.head.fieldCount))
    {
      return true
    }
    var scout = view.body
    let start = view.isHTTP2 ? 0 : Int(view.head.headLength)
    return isEnough(connections[connection], behind: start, view.body, &scout)
  }

  /// Whether what came of a body, none of which was used yet, is enough.
  ///
  /// `scout`: How far its chunks were looked through, so that one that comes byte by byte is not looked
  /// through anew with each: its decoder is behind the first `seen` bytes.
  private func isEnough(
    _ connection: UnsafeMutablePointer<Connection>,
    behind start: Int,
    _ body: BodyReader,
    _ scout: UnsafeMutablePointer<BodyReader>
  ) -> Bool {
    let present = Int64(connection.pointee.input.total - start)
    guard present < Self.enough, !isShortOfBlocks else { return true }
    return switch body.framing {
    case .none: true
    case .length: present >= body.left
    // A stream says itself that it has ended.
    case .untilClose: connection.pointee.flags.contains(.peerEnded)
    case .chunked: hasLastChunk(&connection.pointee.input, behind: start, scout)
    }
  }

  /// Whether the last chunk of a body came, or what is no chunk, which the relay will find.
  private func hasLastChunk(
    _ input: UnsafeMutablePointer<Input>,
    behind start: Int,
    _ scout: UnsafeMutablePointer<BodyReader>
  ) -> Bool {
    guard !input.pointee.isEmpty else { return false }
    var skip = start + Int(scout.pointee.seen)
    if hasLastChunk(bytes(input), input.pointee.count, &skip, scout) { return true }
    var at = input.pointee.more.first
    while at >= 0 {
      let stretch = stretches[at].pointee
      let bytes = reactor.pool.bytes(stretch.block) + Int(stretch.start)
      if hasLastChunk(bytes, Int(stretch.end - stretch.start), &skip, scout) { return true }
      at = stretch.next
    }
    return false
  }

  /// The same in one piece, the first `skip` bytes of which are passed over.
  private func hasLastChunk(
    _ bytes: UnsafeMutablePointer<UInt8>,
    _ count: Int,
    _ skip: inout Int,
    _ scout: UnsafeMutablePointer<BodyReader>
  ) -> Bool {
    let start = min(skip, count)
    skip -= start
    var offset = start
    defer { scout.pointee.seen += Int64(offset - start) }
    while true {
      switch scout.pointee.decoder.next(UnsafePointer(bytes), count: count, offset: &offset) {
      case .needMore: return false
      case .data: continue
      case .trailersBegin, .refused: return true
      }
    }
  }

  /// More of a body came: asks for the permit when it is enough.
  func gather(_ index: Int32) {
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    // Nothing has answered yet: until then the reader of the response looks ahead in the request.
    guard
      !isEnough(connection, behind: 0, exchange.pointee.request, &exchange.pointee.response)
    else { return askLate(index) }
    resumeReading(connection)
    if connection.pointee.deadline == .never { judgePaceFromNow(connection) }
    if exchange.pointee.request.framing != .length,
      exchange.pointee.attemptDeadline == .never
    {
      setAttemptDeadline(exchange, reactor.now + Self.patience)
    }
  }

  /// The body did not come in time: that of its whole exchange, or what is waited for without a length.
  func gatherTimedOut(_ index: Int32) {
    let exchange = exchanges[index]
    guard exchange.pointee.deadline > reactor.now else {
      meter.timedOut(.request)
      return fail(index, .bodyTimeout)
    }
    exchange.pointee.admission.patience = .zero
    askLate(index)
  }

  /// Puts the question for a request that has an exchange already.
  private func askLate(_ index: Int32) {
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    stopJudging(connection)
    setAttemptDeadline(exchange, .never)
    exchange.pointee.response = BodyReader(.none, length: 0)
    leaveAdmission(exchange)
    if let refusal = decide(
      exchange.pointee.connection,
      exchange.pointee.deadline,
      &exchange.pointee.admission
    ) {
      return fail(index, ReplyReason(refusal.reason), retryAfter: refusal.retryAfter)
    }
    guard !exchange.pointee.admission.isWaiting else { return pauseReading(connection) }
    DemandFields.refresh(
      reactor.pool.bytes(exchange.pointee.requestBlock),
      exchange,
      now: reactor.now
    )
    attemptAndPump(index)
  }
}
