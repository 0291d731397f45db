import Foundation
import Glibc
import Reactor
import Synchronization
import Testing
import Units

private func name(_ value: UInt64) -> Owner { Owner(rawValue: value) }

struct ReactorTests {
  @Test(arguments: Reactor.Backend.allowed)
  func `events of a socket that another event closed are never given`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (first, firstPeer) = try socketPair()
    let (second, secondPeer) = try socketPair()
    let sockets = [
      UInt64(1): loop.reactor.adopt(first, owner: name(1)),
      UInt64(2): loop.reactor.adopt(second, owner: name(2)),
    ]
    loop.turn(limit: .zero)
    #expect(firstPeer.send([1]) == 1)
    #expect(secondPeer.send([2]) == 1)
    var winner: UInt64?
    var third: (Int32, Peer)?
    loop.observe = { event in
      guard winner == nil else { return }
      winner = event.owner.rawValue
      for (owner, socket) in sockets where owner != event.owner.rawValue {
        loop.reactor.close(socket)
      }
      // Most likely the number of the descriptor that was just closed.
      third = try? socketPair()
      if let third { _ = loop.reactor.adopt(third.0, owner: name(3)) }
    }
    try loop.run("an event") { winner != nil }
    let sent = try #require(third).1.send([3])
    #expect(sent == 1)
    try loop.run("bytes of the third socket") { loop.received[3] == [3] }

    #expect(Set(loop.events.map(\.owner)) == [try #require(winner), 3])
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a pool that runs dry pauses reading, and reading goes on when blocks come back`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend, blocks: 64)
    loop.keepsBlocks = true
    var peers: [Peer] = []
    for index in 0..<4 {
      let (descriptor, peer) = try socketPair()
      #expect(loop.reactor.adopt(descriptor, owner: name(UInt64(index))) >= 0)
      peers.append(peer)
    }
    let bytes = pattern(600_000)
    var sent = [0, 0, 0, 0]
    func pump() {
      for index in 0..<4 where sent[index] < bytes.count {
        let count = peers[index].send(Array(bytes[sent[index]...].prefix(65_536)))
        if count > 0 { sent[index] += count }
      }
    }
    // Far more than 64 blocks are sent; nobody gives one back until the pool is dry.
    try loop.run("an exhausted pool") {
      pump()
      return loop.reactor.pool.exhaustions > 0 || loop.kept.count >= 48
    }
    #expect(loop.kept.count <= 64)
    for _ in 0..<5 { loop.turn(limit: .zero) }
    loop.keepsBlocks = false
    for block in loop.kept { loop.reactor.pool.release(block) }
    try loop.run("all bytes") {
      pump()
      return (0..<4).allSatisfy { loop.received[UInt64($0)]?.count == bytes.count }
    }
    for index in 0..<4 { #expect(loop.received[UInt64(index)] == bytes) }
    #expect(loop.reactor.blocksInUse == 0)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `closing with sends under way gives every block back`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    try loop.write(socket, pattern(BlockPool.blockSize * 100))
    for _ in 0..<3 { loop.turn(limit: .zero) }
    #expect(loop.reactor.queuedBytes(socket) > 0)

    loop.reactor.close(socket)
    try loop.run("all blocks back") {
      loop.reactor.blocksInUse == 0 && loop.reactor.socketCount == 0
    }
    withExtendedLifetime(peer) {}
    #expect(loop.events.isEmpty)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `closing before anything was flushed gives every block back`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (descriptor, peer) = try socketPair()
    let socket = loop.reactor.adopt(descriptor, owner: name(1))
    try loop.write(socket, pattern(100_000))
    loop.reactor.close(socket)
    try loop.run("all blocks back") {
      loop.reactor.blocksInUse == 0 && loop.reactor.socketCount == 0
    }
    try loop.run("the peer's end of stream") { try peer.take() == nil }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `what was closed after the last turn is closed when the reactor goes`(
    _ backend: Reactor.Backend
  ) throws {
    let (descriptor, peer) = try socketPair()
    do {
      let loop = try Loop(backend)
      let socket = loop.reactor.adopt(descriptor, owner: name(1))
      loop.turn(limit: .zero)
      loop.reactor.close(socket)
    }
    for _ in 0..<5_000 where try peer.take() != nil { usleep(1_000) }
    #expect(try peer.take() == nil)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a reset tells the peer that bytes are missing`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (listener, address) = try loopbackListener()
    let watch = loop.reactor.listen(listener.descriptor, owner: name(9))
    let peer = dial(address)
    try loop.run("an accept") { loop.has(.accepted, 9) }
    let socket = loop.reactor.adopt(loop.events[0].value, owner: name(1))
    loop.turn(limit: .zero)
    loop.reactor.close(socket, reset: true)
    var code: Int32 = 0
    try loop.run("a reset") {
      do {
        return try peer.take() == nil
      } catch let error as ReactorError {
        code = error.code
        return true
      }
    }
    #expect(code == ECONNRESET)
    loop.reactor.unwatch(watch)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a peer's reset is a failure or an end, told once`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (listener, address) = try loopbackListener()
    _ = loop.reactor.listen(listener.descriptor, owner: name(9))
    let peer = dial(address)
    try loop.run("an accept") { loop.has(.accepted, 9) }
    let socket = loop.reactor.adopt(loop.events[0].value, owner: name(1))
    loop.turn(limit: .zero)
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      peer.descriptor,
      SOL_SOCKET,
      SO_LINGER,
      &linger,
      socklen_t(MemoryLayout.size(ofValue: linger))
    )
    peer.shut()
    try loop.run("a failure") { loop.has(.failed, 1) }
    try loop.write(socket, [1, 2, 3])
    for _ in 0..<5 { loop.turn(limit: .zero) }
    #expect(loop.events.filter { $0.owner == 1 }.count == 1)
    #expect(loop.events.last?.value == ECONNRESET)
    loop.reactor.close(socket)
    #expect(loop.reactor.blocksInUse == 0)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a refused connect fails with its error number`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (listener, address) = try loopbackListener()
    listener.shut()
    let socket = withUnsafePointer(to: address) { loop.reactor.connect(to: $0, owner: name(1)) }
    if socket == -ECONNREFUSED { return }
    #expect(socket >= 0)
    try loop.run("a failure") { loop.has(.failed, 1) }
    #expect(loop.events.map(\.value) == [ECONNREFUSED])
    loop.reactor.close(socket)
    try loop.run("no socket") { loop.reactor.socketCount == 0 }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a connect to a UNIX socket that is not there fails`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let address = try #require(KernelAddress(unixPath: "/tmp/no-such-\(UUID().uuidString)"))
    let socket = withUnsafePointer(to: address) { loop.reactor.connect(to: $0, owner: name(1)) }
    if socket == -ENOENT { return }
    #expect(socket >= 0)
    try loop.run("a failure") { loop.has(.failed, 1) }
    #expect(loop.events.map(\.value) == [ENOENT])
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a connect closed while under way leaves nothing behind`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (listener, address) = try loopbackListener()
    let socket = withUnsafePointer(to: address) { loop.reactor.connect(to: $0, owner: name(1)) }
    #expect(socket >= 0)
    loop.reactor.close(socket)
    try loop.run("no socket") { loop.reactor.socketCount == 0 }
    #expect(loop.events.isEmpty)
    withExtendedLifetime(listener) {}
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `the bound on sockets refuses, and the descriptor is closed`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend, sockets: 1)
    let (first, firstPeer) = try socketPair()
    let (second, secondPeer) = try socketPair()
    #expect(loop.reactor.adopt(first, owner: name(1)) >= 0)
    #expect(loop.reactor.adopt(second, owner: name(2)) == -1)
    #expect(try secondPeer.take() == nil)
    #expect(try firstPeer.take() == [])
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `accepting pauses and goes on, and no connection is lost`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let (listener, address) = try loopbackListener()
    let watch = loop.reactor.listen(listener.descriptor, owner: name(9))
    var peers = (0..<20).map { _ in dial(address) }
    try loop.run("twenty accepts") { loop.events.count == 20 }

    loop.reactor.pauseAccepting(watch)
    for _ in 0..<3 { loop.turn(limit: .zero) }
    peers += (0..<10).map { _ in dial(address) }
    for _ in 0..<3 { loop.turn(limit: .zero) }
    #expect(loop.events.count == 20)
    loop.reactor.resumeAccepting(watch)
    try loop.run("ten more accepts") { loop.events.count == 30 }
    #expect(Set(loop.events.map(\.value)).count == 30)
    for event in loop.events { Glibc.close(event.value) }
    loop.reactor.unwatch(watch)
    withExtendedLifetime(peers) {}
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a connection stands before its first bytes come`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    let (listener, address) = try loopbackListener()
    _ = loop.reactor.listen(listener.descriptor, owner: name(9))
    let socket = withUnsafePointer(to: address) { loop.reactor.connect(to: $0, owner: name(1)) }
    #expect(socket >= 0)
    try loop.run("an accept") { loop.has(.accepted, 9) }
    let accepted = loop.events.first { $0.kind == .accepted }?.value ?? -1
    let peer = Peer(accepted)
    #expect(peer.send([7, 8]) == 2)
    try loop.run("the bytes") { loop.received[1] == [7, 8] }
    #expect(loop.events.filter { $0.owner == 1 }.map(\.kind) == [.connected, .received])
    try loop.write(socket, [9])
    var taken: [UInt8] = []
    try loop.run("the answer") {
      taken += try peer.take() ?? []
      return taken == [9]
    }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a watched pipe is told of until it is unwatched`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    let (reading, writing) = (Peer(ends[0]), Peer(ends[1]))
    let watch = loop.reactor.watch(
      reading.descriptor,
      reading: true,
      writing: false,
      owner: name(5)
    )
    for _ in 0..<2 { loop.turn(limit: .zero) }
    #expect(loop.events.isEmpty)
    var byte: UInt8 = 1
    #expect(Glibc.write(writing.descriptor, &byte, 1) == 1)
    // Level-triggered: it is told again as long as nobody reads.
    try loop.run("two reports") { loop.events.filter { $0.kind == .ready }.count >= 2 }
    loop.reactor.unwatch(watch)
    for _ in 0..<2 { loop.turn(limit: .zero) }
    loop.events = []
    for _ in 0..<3 { loop.turn(limit: .zero) }
    #expect(loop.events.isEmpty)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `timers fire in a turn, not before their time, and a cancelled one not at all`(
    _ backend: Reactor.Backend
  ) throws {
    let loop = try Loop(backend)
    let start = loop.reactor.now
    let soon = loop.reactor.timers.allocate(for: name(1))
    let never = loop.reactor.timers.allocate(for: name(2))
    loop.reactor.timers.set(soon, at: start + .milliseconds(5))
    loop.reactor.timers.set(never, at: start + .milliseconds(3))
    loop.reactor.timers.set(never, at: .never)
    var fired: Instant?
    loop.observe = { _ in fired = loop.reactor.now }
    try loop.run("the timer") { fired != nil }
    #expect(try #require(fired) >= start + .milliseconds(5))
    #expect(loop.events.map(\.owner) == [1])
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `two rings are one wake-up`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    loop.reactor.bell.ring()
    loop.reactor.bell.ring()
    try loop.run("the bell") { !loop.events.isEmpty }
    for _ in 0..<3 { loop.turn(limit: .zero) }
    #expect(loop.events.map(\.kind) == [.mailbox])
    loop.reactor.bell.ring()
    try loop.run("the bell again") { loop.events.count == 2 }
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a ring from another thread wakes a turn that waits`(_ backend: Reactor.Backend) throws {
    let loop = try Loop(backend)
    for round in 1...50 {
      let bell = loop.reactor.bell
      let thread = Thread { bell.ring() }
      thread.start()
      // No limit: only the bell ends this wait, and the suite's limit bounds it.
      while loop.events.count < round { loop.turn(limit: .seconds(30)) }
    }
    #expect(loop.events.count == 50)
  }
}
