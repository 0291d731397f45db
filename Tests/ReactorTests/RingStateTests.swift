import CLinux
import Glibc
import Testing
import Units

@testable import Reactor

@Suite(.enabled(if: Reactor.Backend.allowed.contains(.ioUring), "this kernel forbids io_uring"))
struct RingStateTests {
  @Test func `messages that the kernel has not read are not used again`() throws {
    let pool = BlockPool(capacity: 128)
    var state = try RingState(pool: pool, sockets: 8)
    defer { state.close() }
    // The kernel stops behind an entry that makes no sense, and leaves the rest for later.
    let nonsense = try #require(io_uring_get_sqe(state.ring))
    memset(nonsense, 0, MemoryLayout<io_uring_sqe>.size)
    nonsense.pointee.opcode = 255
    let prepared = state.nextMessage()
    let (first, parts) = try #require(prepared)
    first.initialize(to: msghdr())
    first.pointee.msg_iov = parts.baseAddress
    #expect(clinux_ring_sendv(state.ring, -1, first, 1) != 0)

    state.submit()
    let second = state.nextMessage()?.0

    #expect(clinux_ring_unsubmitted(state.ring) == 1)
    #expect(second != nil && second != first)

    state.submit()
    #expect(clinux_ring_unsubmitted(state.ring) == 0)
    let third = state.nextMessage()?.0
    #expect(third == first)
  }

  @Test func `what is prepared in a turn goes to the kernel with one call`() throws {
    let loop = try Loop(.ioUring)
    let (listener, address) = try loopbackListener()
    _ = loop.reactor.listen(listener.descriptor, owner: Owner(rawValue: 1))
    let ring = try #require(loop.reactor.ring)
    func enters() -> UInt64 { ring.pointee.enters }
    let clients = (0..<4).map { _ in dial(address) }
    try loop.run("the connections") { loop.events.count { $0.kind == .accepted } == 4 }
    let sockets = loop.events.filter { $0.kind == .accepted }.enumerated().map { at, event in
      loop.reactor.adopt(event.value, owner: Owner(rawValue: UInt64(10 + at)))
    }

    for _ in 0..<5 {
      let before = enters()
      for socket in sockets { try loop.write(socket, Array("some".utf8)) }
      loop.turn(limit: .zero)
      #expect(enters() == before + 1)
    }

    for client in clients { client.shut() }
  }

  @Test func `a bell and a listener that found no room are armed later`() throws {
    let loop = try Loop(.ioUring)
    let (listener, address) = try loopbackListener()
    let watch = loop.reactor.listen(listener.descriptor, owner: Owner(rawValue: 1))
    let ring = try #require(loop.reactor.ring)
    // As they are left when the kernel takes nothing.
    loop.reactor.pauseAccepting(watch)
    for _ in 0..<10 { loop.turn(limit: .zero) }
    loop.reactor.watches[watch].pointee.isPaused = false
    ring.pointee.hasUnarmed = true
    ring.pointee.isBellArmed = false

    let client = dial(address)
    try loop.run("the connection") { loop.has(.accepted, 1) }
    loop.reactor.bell.ring()
    try loop.run("the bell") { loop.events.contains { $0.kind == .mailbox } }

    let isBehind = ring.pointee.isBehind
    #expect(!isBehind)
    for event in loop.events where event.kind == .accepted { close(event.value) }
    client.shut()
  }
}
