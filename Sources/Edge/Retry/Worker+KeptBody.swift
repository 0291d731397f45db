internal import HTTPCodec
internal import Reactor
internal import Units

/// Request bodies that are kept until the response head, so that they can be sent once more.
///
/// A small body of known length lies in the request's own block (`keepForRepeat`); what is here are
/// the others, in blocks of the worker's pool, up to a bound and while the pool has plenty.
extension Worker {
  /// Bytes of one body that are kept; past it the request is not repeated once it was sent.
  static let keptBody = 65_536

  /// Whether a request's body is worth keeping: all of it may fit.
  static func keeps(_ body: BodyReader) -> Bool {
    !body.isComplete && (body.framing != .length || body.left <= Int64(keptBody))
  }

  /// Keeps content that is on its way to the service; without room all of it is forgotten.
  func keep(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int
  ) {
    // A quarter is left for what is under way: a retry that may never be is worth less.
    guard Int(exchange.pointee.kept.bytes) + count <= Self.keptBody,
      reactor.blocksFree > reactor.pool.capacity / 4
    else { return loseBody(exchange) }
    var done = 0
    while done < count {
      let last = exchange.pointee.kept.last
      let room = last < 0 ? 0 : BlockPool.blockSize - Int(stretches[last].pointee.end)
      let part = min(room, count - done)
      if part > 0, extend(&exchange.pointee.kept, with: bytes + done, count: part) {
        done += part
        continue
      }
      let block = reactor.pool.acquire()
      guard block >= 0 else { return loseBody(exchange) }
      let first = min(count - done, BlockPool.blockSize)
      reactor.pool.bytes(block).update(from: bytes + done, count: first)
      guard push(block, start: 0, count: first, to: &exchange.pointee.kept) else {
        return loseBody(exchange)
      }
      done += first
    }
  }

  /// Something was sent that is not kept: the request can be repeated no more.
  func loseBody(_ exchange: UnsafeMutablePointer<Exchange>) {
    forgetBody(exchange)
    exchange.pointee.flags.remove(.canReplay)
  }

  /// Content went out: without a copy of it the request can be repeated no more.
  func noteNotKept(_ exchange: UnsafeMutablePointer<Exchange>) {
    if !exchange.pointee.flags.contains(.keepsBody) { exchange.pointee.flags.remove(.canReplay) }
  }

  /// Gives back what was kept.
  func forgetBody(_ exchange: UnsafeMutablePointer<Exchange>) {
    exchange.pointee.flags.remove(.keepsBody)
    drop(&exchange.pointee.kept)
  }

  /// Sends what was kept behind a head that goes out again, and the end where the body has ended.
  ///
  /// - Returns: `false` when a table is full: the attempt has to be given up.
  func sendKept(_ exchange: UnsafeMutablePointer<Exchange>, to transport: Transport) -> Bool {
    // A stream frames and ends what it carries by itself.
    let framing = exchange.pointee.request.framing
    let isChunked = (framing == .chunked || framing == .untilClose) && !transport.isStream
    var at = exchange.pointee.kept.first
    while at >= 0 {
      let stretch = stretches[at].pointee
      let count = Int(stretch.end - stretch.start)
      if isChunked, !putChunkSize(transport, count) { return false }
      reactor.pool.retain(stretch.block)
      guard write(transport, block: stretch.block, start: Int(stretch.start), count: count)
      else { return false }
      if isChunked, !put(transport, "\r\n") { return false }
      at = stretch.next
    }
    noteSentUpstream(transport, Int(exchange.pointee.kept.bytes))
    guard isChunked, exchange.pointee.request.isComplete else { return true }
    return endChunks(transport)
  }
}
