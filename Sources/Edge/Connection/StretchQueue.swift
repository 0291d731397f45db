internal import Reactor
internal import Units

/// A part of a block, in a queue.
struct Stretch: BitwiseCopyable {
  var block: Int32
  var start: Int32
  var end: Int32
  var next: Int32
}

/// Bytes that wait for their turn, as stretches of blocks in the order they came.
///
/// The stretches of all queues of a worker are entries of one table, `Worker.stretches`.
struct StretchQueue: BitwiseCopyable {
  var first: Int32 = -1
  var last: Int32 = -1
  /// Bytes in all stretches.
  var bytes: Int32 = 0

  var isEmpty: Bool { first < 0 }
}

extension Worker {
  /// Puts bytes of a block behind what waits; one reference moves along.
  ///
  /// - Returns: `false` when the table is full and the reference was dropped: whoever owns the
  ///   queue must be given up.
  func push(_ block: Int32, start: Int, count: Int, to queue: inout StretchQueue) -> Bool {
    let stretch = stretches.allocate()
    guard stretch >= 0 else {
      stretchExhaustions += 1
      reactor.pool.release(block)
      return false
    }
    stretches[stretch].initialize(
      to: Stretch(block: block, start: Int32(start), end: Int32(start + count), next: -1)
    )
    if queue.last >= 0 {
      stretches[queue.last].pointee.next = stretch
    } else {
      queue.first = stretch
    }
    queue.last = stretch
    queue.bytes += Int32(count)
    return true
  }

  /// Copies bytes behind the last stretch, where there is room and nobody else has its block.
  func extend(
    _ queue: inout StretchQueue,
    with bytes: UnsafePointer<UInt8>,
    count: Int
  ) -> Bool {
    guard queue.last >= 0, reactor.pool.isUnique(stretches[queue.last].pointee.block) else {
      return false
    }
    return extendShared(&queue, with: bytes, count: count)
  }

  /// The same for a block that others have, too, when they use nothing behind the last stretch.
  func extendShared(
    _ queue: inout StretchQueue,
    with bytes: UnsafePointer<UInt8>,
    count: Int
  ) -> Bool {
    let last = stretches[queue.last]
    let end = Int(last.pointee.end)
    guard end + count <= BlockPool.blockSize else { return false }
    (reactor.pool.bytes(last.pointee.block) + end).update(from: bytes, count: count)
    last.pointee.end += Int32(count)
    queue.bytes += Int32(count)
    return true
  }

  /// Takes the first stretch out; its reference is the caller's.
  func takeFirst(of queue: inout StretchQueue) -> Stretch {
    let first = queue.first
    let stretch = stretches[first].pointee
    stretches.release(first)
    queue.first = stretch.next
    if stretch.next < 0 { queue.last = -1 }
    queue.bytes -= stretch.end - stretch.start
    return stretch
  }

  /// Takes bytes off the front, and gives back the blocks that are through.
  func take(_ count: Int, off queue: inout StretchQueue) {
    var left = Int32(count)
    while left > 0, queue.first >= 0 {
      let stretch = stretches[queue.first]
      let part = min(left, stretch.pointee.end - stretch.pointee.start)
      stretch.pointee.start += part
      queue.bytes -= part
      left -= part
      if stretch.pointee.start == stretch.pointee.end {
        reactor.pool.release(takeFirst(of: &queue).block)
      }
    }
  }

  /// Forgets what waits.
  func drop(_ queue: inout StretchQueue) {
    while queue.first >= 0 { reactor.pool.release(takeFirst(of: &queue).block) }
  }
}
