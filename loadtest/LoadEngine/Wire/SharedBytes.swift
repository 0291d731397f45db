internal import Reactor

/// Bytes that are sent again and again, without being copied: all sends share the same blocks.
struct SharedBytes {
  private struct Piece {
    var block: Int32
    var count: Int32
  }

  private let first: Piece
  private let rest: [Piece]
  /// Bytes before the filler.
  let headLength: Int

  /// Takes blocks of a pool for good.
  ///
  /// - Parameters:
  ///   - head: At most a block.
  ///   - filler: Bytes of `x` behind the head.
  ///   - pool: The pool of the reactor that sends.
  /// - Throws: When the pool has no block.
  init(_ head: [UInt8], filler: Int, pool: BlockPool) throws(EngineError) {
    precondition(head.count <= BlockPool.blockSize, "unvalidated head")
    let block = pool.acquire()
    guard block >= 0 else { throw EngineError("no block is left for messages") }
    let bytes = pool.bytes(block)
    bytes.update(from: head, count: head.count)
    let inFirst = min(filler, BlockPool.blockSize - head.count)
    (bytes + head.count).update(repeating: UInt8(ascii: "x"), count: inFirst)
    first = Piece(block: block, count: Int32(head.count + inFirst))
    headLength = head.count
    var left = filler - inFirst
    var pieces: [Piece] = []
    if left > 0 {
      let shared = pool.acquire()
      guard shared >= 0 else { throw EngineError("no block is left for messages") }
      pool.bytes(shared).update(repeating: UInt8(ascii: "x"), count: BlockPool.blockSize)
      while left > 0 {
        pieces.append(Piece(block: shared, count: Int32(min(left, BlockPool.blockSize))))
        left -= BlockPool.blockSize
      }
    }
    rest = pieces
  }

  /// Bytes of the whole message.
  var count: Int { rest.reduce(Int(first.count)) { $0 + Int($1.count) } }

  /// Queues everything, or nothing behind the head; `false` when the reactor has no room.
  func write(to socket: Int32, _ reactor: Reactor, headOnly: Bool = false) -> Bool {
    reactor.pool.retain(first.block)
    let length = headOnly ? headLength : Int(first.count)
    guard reactor.write(socket, block: first.block, start: 0, count: length) else { return false }
    if headOnly || rest.isEmpty { return true }
    for piece in rest {
      reactor.pool.retain(piece.block)
      guard reactor.write(socket, block: piece.block, start: 0, count: Int(piece.count)) else {
        return false
      }
    }
    return true
  }
}
