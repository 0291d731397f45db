import CLinux
import Glibc
import Reactor
import Testing
import Units

struct Stuck: Error, CustomStringConvertible {
  let description: String
}

/// A reactor with a record of what it said; every wait for it is bounded.
final class Loop {
  let reactor: Reactor
  /// Bytes by owner, in the order they came.
  var received: [UInt64: [UInt8]] = [:]
  /// Everything that came, by owner.
  var events: [(kind: Event.Kind, owner: UInt64, value: Int32)] = []
  /// Sees each event when it is handed out.
  var observe: ((Event) -> Void)?
  /// Keep blocks instead of giving them back at once.
  var keepsBlocks = false
  var kept: [Int32] = []

  init(_ backend: Reactor.Backend, sockets: Int = 64, blocks: Int = 256) throws {
    var bounds = Reactor.Bounds()
    bounds.sockets = sockets
    bounds.blocks = blocks
    reactor = try Reactor(backend: backend, bounds: bounds)
  }

  func turn(limit: Nanoseconds = .milliseconds(20)) {
    reactor.turn(limit: limit)
    while true {
      let event = reactor.next()
      guard event.kind != .none else { return }
      events.append((event.kind, event.owner.rawValue, event.value))
      if event.kind == .received {
        let bytes = UnsafeBufferPointer(
          start: reactor.pool.bytes(event.block),
          count: Int(event.value)
        )
        received[event.owner.rawValue, default: []] += bytes
        if keepsBlocks { kept.append(event.block) } else { reactor.pool.release(event.block) }
      }
      observe?(event)
    }
  }

  /// Takes turns until the condition holds; 500 turns are some ten seconds.
  func run(_ what: String, until condition: () throws -> Bool) throws {
    for _ in 0..<500 {
      if try condition() { return }
      turn()
    }
    throw Stuck(description: "\(what); events so far: \(events.suffix(20))")
  }

  func has(_ kind: Event.Kind, _ owner: UInt64) -> Bool {
    events.contains { $0.kind == kind && $0.owner == owner }
  }

  /// Writes bytes in pieces of at most `piece`, each in a block of its own.
  func write(_ socket: Int32, _ bytes: [UInt8], piece: Int = BlockPool.blockSize) throws {
    var start = 0
    while start < bytes.count {
      let count = min(piece, bytes.count - start)
      let block = reactor.pool.acquire()
      guard block >= 0 else { throw Stuck(description: "no block") }
      bytes.withUnsafeBufferPointer { all in
        for offset in 0..<count { reactor.pool.bytes(block)[offset] = all[start + offset] }
      }
      #expect(reactor.write(socket, block: block, start: 0, count: count))
      start += count
    }
  }
}

/// A plain end of a connection, as a peer would hold it; non-blocking.
final class Peer {
  private(set) var descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { shut() }

  func shut() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  func send(_ bytes: [UInt8]) -> Int {
    Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// What can be read now, `nil` at the end of the stream.
  func take(atMost limit: Int = 1 << 20) throws(ReactorError) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = recv(descriptor, &bytes, limit, 0)
    if count == 0 { return nil }
    guard count > 0 else {
      if errno == EAGAIN { return [] }
      throw ReactorError(call: "recv", code: errno)
    }
    return Array(bytes.prefix(count))
  }
}

private let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)

/// Two connected ends, of the UNIX family.
func socketPair() throws -> (Int32, Peer) {
  var ends: [Int32] = [-1, -1]
  guard socketpair(AF_UNIX, stream, 0, &ends) == 0 else {
    throw ReactorError(call: "socketpair", code: errno)
  }
  return (ends[0], Peer(ends[1]))
}

/// A listening socket on a free port of 127.0.0.1, with its address.
func loopbackListener() throws -> (Peer, KernelAddress) {
  let listener = Peer(socket(AF_INET, stream, 0))
  guard let any = KernelAddress(ip: "127.0.0.1", port: 0) else {
    throw Stuck(description: "no address")
  }
  guard withAddress(any, { bind(listener.descriptor, $0, $1) }) == 0,
    listen(listener.descriptor, 128) == 0,
    let bound = KernelAddress(localOf: listener.descriptor)
  else { throw ReactorError(call: "bind", code: errno) }
  return (listener, bound)
}

func withAddress(
  _ address: KernelAddress,
  _ body: (UnsafePointer<sockaddr>, UInt32) -> Int32
) -> Int32 {
  withUnsafePointer(to: address.storage) { storage in
    storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, address.length) }
  }
}

/// A peer that has begun to connect.
func dial(_ address: KernelAddress) -> Peer {
  let peer = Peer(socket(AF_INET, stream, 0))
  _ = withAddress(address) { connect(peer.descriptor, $0, $1) }
  return peer
}

/// Bytes in which every position is told from its neighbours.
func pattern(_ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}
