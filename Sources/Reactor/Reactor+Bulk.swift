internal import CLinux
internal import Glibc
internal import Units

/// Blocks that one vectored read filled beyond the one that its event hands out.
struct Surplus {
  /// Blocks that one read may fill, 128 KiB: what a peer that does not read holds of the pool at most,
  /// beside the high watermark.
  static let maximum = 8

  var blocks = InlineArray<8, Int32>(repeating: -1)
  var count = 0
  var taken = 0
  /// Bytes in the last one; all others are full.
  var lastCount: Int32 = 0
  var socket: Int32 = -1
  var owner = Owner(rawValue: 0)
}

/// Reads of large bodies: one call for many blocks, as a call for each costs more than the bytes.
extension Reactor {
  /// Reads once into `first`, where there is one, and into more blocks, which become the surplus.
  ///
  /// - Returns: The result of the call, and whether it filled all that it was given.
  func readBulk(
    _ index: Int32,
    _ socket: UnsafeMutablePointer<SocketEntry>,
    first: Int32
  ) -> (count: Int64, isFull: Bool) {
    withUnsafeTemporaryAllocation(of: iovec.self, capacity: Surplus.maximum) { parts in
      let own = first >= 0 ? 1 : 0
      if first >= 0 { parts[0] = part(first) }
      var room = own
      while room < parts.count, !pool.isExhausted {
        let block = pool.acquire()
        surplus.blocks[room - own] = block
        parts[room] = part(block)
        room += 1
      }
      guard room > 0 else { return (-Int64(EAGAIN), false) }
      let asked = room * BlockPool.blockSize
      let count = clinux_recvv(socket.pointee.descriptor, parts.baseAddress, room)
      let used = count <= 0 ? 0 : (Int(count) + BlockPool.blockSize - 1) / BlockPool.blockSize
      while room > max(used, own) {
        room -= 1
        pool.release(surplus.blocks[room - own])
      }
      surplus.count = max(0, used - own)
      surplus.taken = 0
      surplus.lastCount = Int32(Int(max(0, count)) - max(0, used - 1) * BlockPool.blockSize)
      surplus.socket = index
      surplus.owner = socket.pointee.owner
      return (count, Int(count) == asked)
    }
  }

  private func part(_ block: Int32) -> iovec {
    iovec(iov_base: pool.bytes(block), iov_len: BlockPool.blockSize)
  }

  /// Hands out the rest of a vectored read.
  func takeSurplus() -> Event {
    let block = surplus.blocks[surplus.taken]
    surplus.taken += 1
    let isLast = surplus.taken == surplus.count
    let count = isLast ? surplus.lastCount : Int32(BlockPool.blockSize)
    // The owner may have closed it on seeing the first block.
    let socket = sockets[surplus.socket]
    guard socket.pointee.owner == surplus.owner, !socket.pointee.flags.contains(.closed) else {
      pool.release(block)
      return next()
    }
    return Event(.received, surplus.owner, value: count, block: block)
  }
}
