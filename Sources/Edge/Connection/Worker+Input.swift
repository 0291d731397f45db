internal import Glibc
internal import Reactor
internal import Units

/// Unread bytes of a connection of either side.
extension Worker {
  /// Puts received bytes behind what is unread; the block's reference moves to the input.
  ///
  /// A small arrival is copied behind what is there where there is room, so that a head that comes
  /// in pieces lies in one piece, and a body that comes byte by byte in few.
  ///
  /// - Returns: `false` when the table of stretches is full and the bytes were dropped: the
  ///   connection must be given up.
  func append(
    _ input: UnsafeMutablePointer<Input>,
    _ block: Int32,
    _ start: Int,
    _ count: Int
  ) -> Bool {
    guard !input.pointee.isEmpty else {
      input.pointee.block = block
      input.pointee.start = Int32(start)
      input.pointee.end = Int32(start + count)
      return true
    }
    if input.pointee.more.isEmpty, reactor.pool.isUnique(input.pointee.block) {
      let room = BlockPool.blockSize - Int(input.pointee.end)
      if count <= room {
        (reactor.pool.bytes(input.pointee.block) + Int(input.pointee.end))
          .update(from: reactor.pool.bytes(block) + start, count: count)
        input.pointee.end += Int32(count)
        reactor.pool.release(block)
        return true
      }
    }
    if extend(&input.pointee.more, with: reactor.pool.bytes(block) + start, count: count) {
      reactor.pool.release(block)
      return true
    }
    return push(block, start: start, count: count, to: &input.pointee.more)
  }

  /// Takes bytes off the front of the first stretch.
  func consume(_ input: UnsafeMutablePointer<Input>, _ count: Int) {
    input.pointee.start += Int32(count)
    guard input.pointee.start == input.pointee.end else { return }
    reactor.pool.release(input.pointee.block)
    guard !input.pointee.more.isEmpty else {
      input.pointee = Input()
      return
    }
    let stretch = takeFirst(of: &input.pointee.more)
    input.pointee.block = stretch.block
    input.pointee.start = stretch.start
    input.pointee.end = stretch.end
  }

  /// Brings up to a block of unread bytes together, for a head or trailers split between stretches.
  ///
  /// - Returns: Whether the first stretch grew.
  func join(_ input: UnsafeMutablePointer<Input>) -> Bool {
    guard !input.pointee.more.isEmpty else { return false }
    let before = input.pointee.count
    guard before < BlockPool.blockSize else { return false }
    if !reactor.pool.isUnique(input.pointee.block) {
      let copy = reactor.pool.acquire()
      guard copy >= 0 else { return false }
      reactor.pool.bytes(copy).update(
        from: reactor.pool.bytes(input.pointee.block) + Int(input.pointee.start),
        count: before
      )
      reactor.pool.release(input.pointee.block)
      input.pointee.block = copy
    } else if input.pointee.start > 0 {
      let bytes = reactor.pool.bytes(input.pointee.block)
      memmove(bytes, bytes + Int(input.pointee.start), before)
    }
    input.pointee.start = 0
    input.pointee.end = Int32(before)
    let next = stretches[input.pointee.more.first].pointee
    let taken = min(BlockPool.blockSize - before, Int(next.end - next.start))
    (reactor.pool.bytes(input.pointee.block) + before).update(
      from: reactor.pool.bytes(next.block) + Int(next.start),
      count: taken
    )
    input.pointee.end += Int32(taken)
    take(taken, off: &input.pointee.more)
    return true
  }

  /// Forgets all unread bytes.
  func drop(_ input: UnsafeMutablePointer<Input>) {
    while !input.pointee.isEmpty { consume(input, input.pointee.count) }
  }

  /// Where the first stretch begins.
  func bytes(_ input: UnsafeMutablePointer<Input>) -> UnsafeMutablePointer<UInt8> {
    reactor.pool.bytes(input.pointee.block) + Int(input.pointee.start)
  }
}
