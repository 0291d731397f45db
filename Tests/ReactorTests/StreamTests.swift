import CLinux
import Glibc
import Reactor
import Testing
import Units

private func name(_ value: UInt64) -> Owner { Owner(rawValue: value) }

struct StreamTests {
  @Test(arguments: Reactor.Backend.allowed)
  func `a slow reader gets more than its buffer holds, in order`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    let bytes = pattern(3_000_000)
    try loop.write(socket, bytes)
    loop.reactor.finishWriting(socket)
    var taken: [UInt8] = []
    var isEnded = false
    try loop.run("all bytes") {
      for _ in 0..<8 where !isEnded {
        if let some = try peer.take(atMost: 20_000) { taken += some } else { isEnded = true }
      }
      return isEnded
    }
    #expect(taken == bytes)
    #expect(loop.reactor.queuedBytes(socket) == 0)
    #expect(loop.reactor.blocksInUse == 0)
    // Reading goes on after the end of writing.
    #expect(peer.send([1]) == 1)
    try loop.run("a byte") { loop.received[1] == [1] }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `more parts than one send takes arrive in order`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    let bytes = pattern(100 * 7)
    try loop.write(socket, bytes, piece: 7)
    var taken: [UInt8] = []
    try loop.run("all bytes") {
      taken += try peer.take() ?? []
      return taken.count >= bytes.count
    }
    #expect(taken == bytes)
    try loop.run("all blocks back") { loop.reactor.blocksInUse == 0 }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `bytes are appended only behind bytes that the kernel does not hold`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    #expect(!loop.reactor.append(socket, [1], count: 1))

    var expected: [UInt8] = []
    for round in 0..<40 {
      let piece = pattern(1_000 + round * 600)
      try loop.write(socket, piece)
      expected += piece
      let tail: [UInt8] = [1, 2, 3, UInt8(round)]
      if loop.reactor.append(socket, tail, count: 4) { expected += tail }
      loop.turn(limit: .zero)
      if loop.reactor.append(socket, tail, count: 4) { expected += tail }
    }
    var taken: [UInt8] = []
    try loop.run("all bytes") {
      taken += try peer.take() ?? []
      return taken.count >= expected.count
    }
    #expect(taken == expected)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a block that somebody else holds is not appended to`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    let block = loop.reactor.pool.acquire()
    loop.reactor.pool.bytes(block)[0] = 65
    loop.reactor.pool.retain(block)
    loop.reactor.write(socket, block: block, start: 0, count: 1)
    #expect(!loop.reactor.append(socket, [66], count: 1))
    try loop.run("the byte") { try peer.take() == [65] }
    try loop.run("one holder") { loop.reactor.pool.isUnique(block) }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a paused socket keeps its bytes back until it is resumed`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    loop.turn(limit: .zero)
    loop.reactor.pause(socket)
    for _ in 0..<3 { loop.turn(limit: .zero) }
    let bytes = pattern(50_000)
    #expect(peer.send(bytes) == bytes.count)
    for _ in 0..<5 { loop.turn(limit: .zero) }
    #expect(loop.received.isEmpty)

    loop.reactor.resume(socket)
    try loop.run("the bytes") { loop.received[1]?.count == bytes.count }
    #expect(loop.received[1] == bytes)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `pausing and resuming many times loses and doubles nothing`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    let bytes = pattern(400_000)
    var sent = 0
    var random = SplitMix64(seed: 99)
    try loop.run("all bytes") {
      if sent < bytes.count {
        sent += max(0, peer.send(Array(bytes[sent...].prefix(9_000))))
      } else {
        peer.shut()
      }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: loop.reactor.pause(socket)
      case 1:
        loop.reactor.pause(socket)
        loop.reactor.resume(socket)
      default: loop.reactor.resume(socket)
      }
      return loop.has(.endOfStream, 1)
    }
    #expect(loop.received[1] == bytes)
    #expect(loop.events.last?.kind == .endOfStream)
    #expect(loop.reactor.blocksInUse == 0)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `the end of the stream comes once, behind all bytes`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    let bytes = pattern(100_000)
    #expect(peer.send(bytes) == bytes.count)
    shutdown(peer.descriptor, Int32(SHUT_WR))
    try loop.run("the end") { loop.has(.endOfStream, 1) }
    for _ in 0..<5 { loop.turn(limit: .zero) }
    #expect(loop.received[1] == bytes)
    #expect(loop.events.filter { $0.kind != .received }.map(\.kind) == [.endOfStream])
    // The other direction still stands.
    try loop.write(socket, [5])
    try loop.run("the answer") { try peer.take() == [5] }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `drained comes once for each time it is asked for`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    let bytes = pattern(2_000_000)
    try loop.write(socket, bytes)
    loop.reactor.notifyWhenDrained(socket, below: 65_536)
    for _ in 0..<5 { loop.turn(limit: .zero) }
    #expect(!loop.has(.drained, 1))

    var taken = 0
    try loop.run("drained") {
      taken += try peer.take()?.count ?? 0
      return loop.has(.drained, 1)
    }
    #expect(loop.reactor.queuedBytes(socket) <= 65_536)
    try loop.run("all bytes") {
      taken += try peer.take()?.count ?? 0
      return taken == bytes.count
    }
    #expect(loop.events.count == 1)
    // Nothing is queued: it comes at once.
    loop.reactor.notifyWhenDrained(socket, below: 0)
    try loop.run("drained again") { loop.events.count == 2 }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a socket answers to its new owner`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    loop.turn(limit: .zero)
    loop.reactor.setOwner(socket, name(2))
    #expect(peer.send([4]) == 1)
    try loop.run("the byte") { loop.received[2] == [4] }
    #expect(loop.received[1] == nil)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `what a peer says before the connect was seen is not lost`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (listener, address) = try loopbackListener()
    for (owner, ends) in [(UInt64(1), false), (2, true)] {
      let socket = withUnsafePointer(to: address) {
        loop.reactor.connect(to: $0, owner: Owner(rawValue: owner))
      }
      #expect(socket >= 0)
      // io_uring connects with the turn; epoll has connected already and looks only later.
      if backend == .ioUring { loop.turn(limit: .zero) }
      let peer = Peer(try accepted(listener))
      #expect(peer.send([7, 8]) == 2)
      if ends { peer.shut() }

      try loop.run("the bytes of \(owner)") {
        loop.received[owner] == [7, 8] && loop.has(.connected, owner)
      }
      if ends { try loop.run("the end") { loop.has(.endOfStream, owner) } }
      loop.reactor.close(socket)
    }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `an address is not read after the call that connects to it`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (wanted, address) = try loopbackListener()
    let (other, wrong) = try loopbackListener()
    let place = UnsafeMutablePointer<KernelAddress>.allocate(capacity: 1)
    defer { place.deallocate() }
    place.initialize(to: address)

    let socket = loop.reactor.connect(to: place, owner: name(1))
    place.pointee = wrong
    try loop.run("the connect") { loop.has(.connected, 1) }

    let peer = Peer(try accepted(wanted))
    #expect(accept(other.descriptor, nil, nil) < 0)
    #expect(peer.send([1]) == 1)
    try loop.run("the byte") { loop.received[1] == [1] }
    loop.reactor.close(socket)
  }

  /// The next connection of a listener that does not wait.
  private func accepted(_ listener: Peer) throws -> Int32 {
    for _ in 0..<5_000 {
      let descriptor = accept(listener.descriptor, nil, nil)
      if descriptor >= 0 { return descriptor }
      usleep(1_000)
    }
    throw Stuck(description: "nobody connects")
  }
}
