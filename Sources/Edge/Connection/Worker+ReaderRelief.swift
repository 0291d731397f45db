internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// What sessions of HTTP/2 pay while blocks run short, connections of HTTP/1.1 and tunnels pay, too.
///
/// A connection may hold what it lets the service be ahead of its client, and a read. The minimum
/// rate keeps nobody from holding that for long. So while blocks are short, those for which the
/// service waits are looked at each second. Where those that took less than they had waiting since the
/// look before hold a sixteenth of all blocks together by their bytes (more, as pieces fill none), the
/// shortage is theirs, too: as many of them are reset as it takes, the one first that holds most.
extension Worker {
  /// The part of all blocks that they hold at least.
  private static let leastHeldShare = 16

  func relieveReaders() {
    guard heldReaders.isDue(at: reactor.now) else { return }
    if heldReaders.isOfUse(at: reactor.now) { endHeldReaders() }
    heldReaders.begin(at: reactor.now)
    for index in 0..<Int32(connections.capacity) where connections.generation(index) & 1 == 1 {
      let queued = queuedForReader(connections[index])
      guard queued >= Self.lowWatermark else { continue }
      heldReaders.add(
        HeldReaders.Reader(
          index: index,
          generation: connections.generation(index),
          taken: taken(connections[index], queued),
          queued: queued
        )
      )
      if heldReaders.isFull { break }
    }
  }

  private func endHeldReaders() {
    var held = 0
    heldReaders.keepStanding { reader in
      guard connections.generation(reader.index) == reader.generation else { return false }
      let connection = connections[reader.index]
      let queued = queuedForReader(connection)
      guard queued >= Self.lowWatermark,
        taken(connection, queued) - reader.taken < min(Int64(reader.queued), Self.heldProgress)
      else { return false }
      held += queued / BlockPool.blockSize
      return true
    }
    guard held >= reactor.pool.capacity / Self.leastHeldShare else { return }
    var free = reactor.blocksFree
    for reader in heldReaders.noted {
      guard free < fewBlocks else { break }
      // Blocks that the kernel reads from come back later; small pieces hold more than their bytes.
      free += reader.queued / BlockPool.blockSize
      endReader(reader.index)
      free = max(free, reactor.blocksFree)
    }
    // Sessions are not to pay for the same blocks once more.
    relievedAt = reactor.now
  }

  private func endReader(_ index: Int32) {
    meter.timedOut(.heldBodies)
    if connections[index].pointee.phase == .tunnel {
      endTunnel(connections[index].pointee.exchange, reset: true)
    } else {
      abandon(index, reset: true)
    }
  }

  /// Bytes that a client has not been sent, of a connection that is none of a session's streams.
  private func queuedForReader(_ connection: UnsafeMutablePointer<Connection>) -> Int {
    switch connection.pointee.phase {
    case .exchange, .idle, .discard, .closing, .tunnel: break
    case .prelude, .head, .lingering, .gone: return 0
    }
    let isOther =
      connection.pointee.transport.isStream || connection.pointee.flags.contains(.isInternal)
    return isOther ? 0 : queuedBytes(connection.pointee.transport)
  }

  /// Bytes that the client's kernel has: ours takes and gives back a megabyte at a time.
  private func taken(_ connection: UnsafeMutablePointer<Connection>, _ queued: Int) -> Int64 {
    connection.pointee.bytesOut - Int64(queued) - unacknowledged(connection.pointee.transport)
  }
}
