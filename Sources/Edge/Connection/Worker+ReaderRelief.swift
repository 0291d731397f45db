internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// Connections that hold much of what their clients asked for, as they were seen some time ago.
struct HeldReaders {
  struct Reader: BitwiseCopyable {
    let index: Int32
    let generation: UInt32
    /// Bytes that the client had taken.
    let taken: Int64
    let queued: Int
  }

  /// Readers that one look notes at most: with what each of them holds they are all of the blocks.
  static let most = 2_048

  private(set) var noted: [Reader] = []
  private var notedAt = Instant(.min)

  init() { noted.reserveCapacity(Self.most) }

  func isDue(at now: Instant) -> Bool {
    notedAt == Instant(.min) || now - notedAt >= Worker.heldPatience
  }

  /// Whether what was seen then tells who stood still: blocks may have been short now and then.
  func isOfUse(at now: Instant) -> Bool {
    notedAt != Instant(.min) && now - notedAt <= Nanoseconds(3 * Worker.heldPatience.rawValue)
  }

  var isFull: Bool { noted.count == Self.most }

  mutating func add(_ reader: Reader) { noted.append(reader) }

  /// Those that hold most come first.
  mutating func sort() { noted.sort { $0.queued > $1.queued } }

  mutating func begin(at now: Instant) {
    noted.removeAll(keepingCapacity: true)
    notedAt = now
  }
}

/// What sessions of HTTP/2 pay while blocks run short, connections of HTTP/1.1 and tunnels pay, too.
///
/// A connection may hold what it lets the service be ahead of its client, and a read. The minimum
/// rate keeps nobody from holding that for long. So while less than a quarter of the blocks is free,
/// those that hold much are looked at each second, and of those that took next to nothing since the
/// look before as many are reset as it takes, the one first that holds most.
extension Worker {
  func relieveReaders() {
    guard heldReaders.isDue(at: reactor.now) else { return }
    if heldReaders.isOfUse(at: reactor.now) { endHeldReaders() }
    heldReaders.begin(at: reactor.now)
    for index in 0..<Int32(connections.capacity) where connections.generation(index) & 1 == 1 {
      let queued = queuedForReader(connections[index])
      guard queued >= Self.heldMuch else { continue }
      heldReaders.add(
        HeldReaders.Reader(
          index: index,
          generation: connections.generation(index),
          taken: connections[index].pointee.bytesOut - Int64(queued),
          queued: queued
        )
      )
      if heldReaders.isFull { break }
    }
    heldReaders.sort()
  }

  private func endHeldReaders() {
    var free = reactor.blocksFree
    for reader in heldReaders.noted {
      guard free < reactor.pool.capacity / 4 else { return }
      guard connections.generation(reader.index) == reader.generation else { continue }
      let connection = connections[reader.index]
      let queued = queuedForReader(connection)
      let taken = connection.pointee.bytesOut - Int64(queued)
      guard queued >= Self.heldMuch, taken - reader.taken < Self.heldProgress else { continue }
      free += queued / BlockPool.blockSize
      meter.timedOut(.slowReader)
      if connection.pointee.phase == .tunnel {
        endTunnel(connection.pointee.exchange, reset: true)
      } else {
        abandon(reader.index, reset: true)
      }
    }
  }

  /// Bytes that a client has not taken, of a connection that is none of a session's streams.
  private func queuedForReader(_ connection: UnsafeMutablePointer<Connection>) -> Int {
    switch connection.pointee.phase {
    case .exchange, .idle, .closing, .tunnel: break
    case .prelude, .head, .discard, .lingering, .gone: return 0
    }
    let isOther =
      connection.pointee.transport.isStream || connection.pointee.flags.contains(.isInternal)
    return isOther ? 0 : queuedBytes(connection.pointee.transport)
  }
}
