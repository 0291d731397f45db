internal import CLinux
internal import Glibc
internal import Units

/// The readiness backend: edge-triggered streams, registered once; level-triggered watches.
struct EpollState {
  static let batch = 256
  /// Connections that one listener may accept in one turn before others get theirs.
  static let acceptsPerTurn = 64

  let descriptor: Int32
  let events: UnsafeMutablePointer<epoll_event>
  var count = 0
  var cursor = 0
  var accepted = 0
  /// Whether the kernel has a call for waits that are no whole milliseconds, as far as is known.
  var waitsExactly = true

  init(open: Bool) throws(ReactorError) {
    events = .allocate(capacity: open ? Self.batch : 1)
    guard open else {
      descriptor = -1
      return
    }
    let result = clinux_epoll_create()
    guard result >= 0 else { throw ReactorError(call: "epoll_create1", code: Int32(-result)) }
    descriptor = Int32(result)
  }

  func close() {
    events.deallocate()
    if descriptor >= 0 { Glibc.close(descriptor) }
  }
}

extension Reactor {
  /// `isExact`: Whether the wait may not be rounded up to whole milliseconds.
  func waitEpoll(_ nanoseconds: Int64, isExact: Bool) {
    var count: Int64?
    if isExact, nanoseconds > 0, epoll.waitsExactly {
      let result = clinux_epoll_wait_exactly(
        epoll.descriptor,
        epoll.events,
        Int32(EpollState.batch),
        nanoseconds
      )
      // A sandbox may say either of a call that it does not know.
      epoll.waitsExactly = result != -Int64(ENOSYS) && result != -Int64(EPERM)
      if epoll.waitsExactly { count = result }
    }
    let found =
      count
      ?? clinux_epoll_wait(
        epoll.descriptor,
        epoll.events,
        Int32(EpollState.batch),
        nanoseconds
      )
    // Interrupted is the one failure there can be, and it means nothing happened.
    epoll.count = max(0, Int(found))
    epoll.cursor = 0
    epoll.accepted = 0
  }

  func nextEpoll() -> Event {
    while epoll.cursor < epoll.count {
      let token = Token(rawValue: clinux_event_data(epoll.events + epoll.cursor))
      let mask = epoll.events[epoll.cursor].events
      switch token.kind {
      case .stream:
        epoll.cursor += 1
        let event = streamReady(token, mask)
        if event.kind != .none { return event }
      case .listener:
        let event = acceptOne(token)
        if event.kind != .none { return event }
        epoll.cursor += 1
        epoll.accepted = 0
      case .foreign:
        epoll.cursor += 1
        guard isLive(token) else { continue }
        return Event(.ready, watches[token.index].pointee.owner, value: Int32(bitPattern: mask))
      case .bell:
        epoll.cursor += 1
        bell.silence()
        return Event(.mailbox, Owner(rawValue: 0))
      case .send, .connect, .cancel:
        epoll.cursor += 1
      }
    }
    return Event(.none, Owner(rawValue: 0))
  }

  private func isLive(_ token: Token) -> Bool {
    watches.generation(token.index) & 0xFF_FFFF == token.generation
  }

  private func streamReady(_ token: Token, _ mask: UInt32) -> Event {
    let index = token.index
    guard sockets.generation(index) & 0xFF_FFFF == token.generation else {
      return Event(.none, Owner(rawValue: 0))
    }
    let socket = sockets[index]
    guard !socket.pointee.flags.contains(.closed) else {
      return Event(.none, socket.pointee.owner)
    }
    if socket.pointee.flags.contains(.connecting) {
      guard mask & UInt32(CLINUX_WRITABLE | CLINUX_HANGUP) != 0 else {
        return Event(.none, socket.pointee.owner)
      }
      return connectEnded(index, socket, mask)
    }
    if mask & UInt32(CLINUX_WRITABLE) != 0, socket.pointee.flags.contains(.blocked) {
      socket.pointee.flags.remove(.blocked)
      flushEpoll(index, socket)
    }
    if mask & UInt32(CLINUX_HANGUP) != 0 { socket.pointee.flags.insert(.hangup) }
    guard mask & UInt32(CLINUX_READABLE | CLINUX_HANGUP) != 0 else {
      return Event(.none, socket.pointee.owner)
    }
    socket.pointee.flags.insert(.readable)
    guard socket.pointee.flags.isDisjoint(with: [.paused, .ended]) else {
      return Event(.none, socket.pointee.owner)
    }
    return receive(index, socket)
  }

  private func connectEnded(
    _ index: Int32,
    _ socket: UnsafeMutablePointer<SocketEntry>,
    _ mask: UInt32
  ) -> Event {
    socket.pointee.flags.remove(.connecting)
    let code = clinux_socket_error(socket.pointee.descriptor)
    guard code == 0 else {
      socket.pointee.flags.formUnion([.ended, .failed])
      return Event(.failed, socket.pointee.owner, value: code)
    }
    // The edge may say more than that, of a peer that spoke or ended at once, and comes only once.
    if mask & UInt32(CLINUX_HANGUP) != 0 { socket.pointee.flags.insert(.hangup) }
    if mask & UInt32(CLINUX_READABLE | CLINUX_HANGUP) != 0 {
      socket.pointee.flags.insert(.readable)
      heat(index, socket)
    }
    if socket.pointee.queued > 0 { flushEpoll(index, socket) }
    return Event(.connected, socket.pointee.owner)
  }

  /// Reads once; a socket that filled its block gets a vectored read next time.
  func receive(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) -> Event {
    let block = pool.acquire()
    guard block >= 0 else {
      isStarved = true
      heat(index, socket)
      return Event(.none, socket.pointee.owner)
    }
    if socket.pointee.flags.contains(.bulk) { return receiveBulk(index, socket, block) }
    let count = clinux_recv(
      socket.pointee.descriptor,
      pool.bytes(block),
      BlockPool.blockSize
    )
    guard count > 0 else {
      pool.release(block)
      return receiveEnded(socket, count)
    }
    if count == BlockPool.blockSize {
      if !socket.pointee.flags.contains(.single) { socket.pointee.flags.insert(.bulk) }
      heat(index, socket)
    } else {
      afterShortRead(index, socket)
    }
    return Event(.received, socket.pointee.owner, value: Int32(count), block: block)
  }

  private func receiveBulk(
    _ index: Int32,
    _ socket: UnsafeMutablePointer<SocketEntry>,
    _ first: Int32
  ) -> Event {
    let (count, isFull) = readBulk(index, socket, first: first)
    guard count > 0 else {
      pool.release(first)
      return receiveEnded(socket, count)
    }
    if isFull {
      heat(index, socket)
    } else {
      if surplus.count == 0 { socket.pointee.flags.remove(.bulk) }
      afterShortRead(index, socket)
    }
    return Event(
      .received,
      socket.pointee.owner,
      value: Int32(min(Int(count), BlockPool.blockSize)),
      block: first
    )
  }

  /// A short read empties an edge-triggered socket (epoll(7)), unless the end was seen behind it.
  private func afterShortRead(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    if socket.pointee.flags.contains(.hangup) {
      heat(index, socket)
    } else {
      socket.pointee.flags.remove(.readable)
    }
  }

  private func receiveEnded(
    _ socket: UnsafeMutablePointer<SocketEntry>,
    _ result: Int64
  ) -> Event {
    socket.pointee.flags.remove(.readable)
    if result == -Int64(EAGAIN) || result == -Int64(EINTR) {
      return Event(.none, socket.pointee.owner)
    }
    socket.pointee.flags.insert(.ended)
    guard result < 0 else { return Event(.endOfStream, socket.pointee.owner) }
    socket.pointee.flags.insert(.failed)
    socket.pointee.error = Int16(truncatingIfNeeded: -result)
    return Event(.failed, socket.pointee.owner, value: Int32(-result))
  }

  private func acceptOne(_ token: Token) -> Event {
    guard isLive(token), !watches[token.index].pointee.isPaused,
      epoll.accepted < EpollState.acceptsPerTurn
    else { return Event(.none, Owner(rawValue: 0)) }
    let owner = watches[token.index].pointee.owner
    while true {
      let result = clinux_accept(watches[token.index].pointee.descriptor)
      if result >= 0 {
        epoll.accepted += 1
        return Event(.accepted, owner, value: Int32(result))
      }
      switch Int32(-result) {
      case EAGAIN: return Event(.none, owner)
      case EINTR, ECONNABORTED, EPROTO: continue
      default:
        // Out of descriptors or memory: the owner pauses, or this would spin.
        epoll.accepted = EpollState.acceptsPerTurn
        return Event(.failed, owner, value: Int32(-result))
      }
    }
  }

  func connectEpoll(
    _ index: Int32,
    _ descriptor: Int32,
    _ address: UnsafePointer<KernelAddress>
  ) -> Int32 {
    let result = clinux_connect(descriptor, address, address.pointee.length)
    guard result >= 0 || result == -Int64(EINPROGRESS) else { return Int32(result) }
    let token = Token(.stream, index: index, generation: sockets.generation(index))
    // Also when it stands at once: the first edge reports it like any other.
    return Int32(clinux_epoll_add_stream(epoll.descriptor, descriptor, token.rawValue))
  }

  func flushEpoll(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    guard socket.pointee.flags.isDisjoint(with: [.blocked, .connecting]) else { return }
    while socket.pointee.queued > 0 {
      let wanted: Int
      let sent: Int64
      let first = segments[socket.pointee.firstSegment]
      if first.pointee.next < 0 {
        wanted = Int(first.pointee.count)
        sent = clinux_send(
          socket.pointee.descriptor,
          pool.bytes(first.pointee.block) + Int(first.pointee.start),
          wanted
        )
      } else {
        (wanted, sent) = sendParts(socket)
      }
      guard sent >= 0 else {
        if sent == -Int64(EINTR) { continue }
        if sent == -Int64(EAGAIN) {
          socket.pointee.flags.insert(.blocked)
        } else {
          noteFailure(index, socket, code: Int32(-sent))
        }
        return
      }
      consume(index, socket, Int(sent))
      if Int(sent) < wanted {
        socket.pointee.flags.insert(.blocked)
        return
      }
    }
    if socket.pointee.flags.contains(.finish) {
      socket.pointee.flags.remove(.finish)
      shutdown(socket.pointee.descriptor, Int32(SHUT_WR))
    }
  }

  private func sendParts(_ socket: UnsafeMutablePointer<SocketEntry>) -> (Int, Int64) {
    withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.sendParts) { parts in
      let (count, bytes) = gather(socket, parts)
      return (bytes, clinux_sendv(socket.pointee.descriptor, parts.baseAddress, count))
    }
  }

  /// Fills the parts of a vectored send from the queue's front.
  func gather(
    _ socket: UnsafeMutablePointer<SocketEntry>,
    _ parts: UnsafeMutableBufferPointer<iovec>
  ) -> (count: Int, bytes: Int) {
    var count = 0
    var bytes = 0
    var segment = socket.pointee.firstSegment
    while segment >= 0, count < parts.count {
      let part = segments[segment].pointee
      parts[count] = iovec(
        iov_base: pool.bytes(part.block) + Int(part.start),
        iov_len: Int(part.count)
      )
      bytes += Int(part.count)
      count += 1
      segment = part.next
    }
    return (count, bytes)
  }
}
