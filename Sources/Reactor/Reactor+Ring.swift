internal import CLinux
internal import Glibc
internal import Units

/// The completion backend: multishot receives into lent blocks, one `io_uring_enter` a turn.
extension Reactor {
  func waitRing(_ nanoseconds: Int64) {
    guard let ring else { return }
    ring.pointee.lend(from: pool)
    guard ring.pointee.isBehind else { return ring.pointee.turn(nanoseconds) }
    armAgain(ring)
    let retry: Int64 = 1_000_000
    ring.pointee.turn(
      ring.pointee.isBehind && (nanoseconds < 0 || nanoseconds > retry) ? retry : nanoseconds
    )
  }

  func armBell() {
    guard let ring else { return }
    let isArmed = clinux_ring_poll(
      ring.pointee.ring,
      bell.descriptor,
      UInt32(CLINUX_READABLE),
      Token.bell.rawValue
    )
    ring.pointee.isBellArmed = isArmed != 0
  }

  /// Tries what found no room among the submissions: a bell or a listener that nothing watches
  /// would be silent for good.
  private func armAgain(_ ring: UnsafeMutablePointer<RingState>) {
    ring.pointee.retryCancels()
    if !ring.pointee.isBellArmed { armBell() }
    guard ring.pointee.hasUnarmed else { return }
    ring.pointee.hasUnarmed = false
    for index in 0..<Int32(watches.capacity) where watches.generation(index) & 1 == 1 {
      let watch = watches[index]
      guard !watch.pointee.isPaused, !watch.pointee.isEnded else { continue }
      arm(index, watch, isNew: false)
    }
  }

  func nextRing() -> Event {
    guard let ring else { return Event(.none, Owner(rawValue: 0)) }
    while ring.pointee.cursor < ring.pointee.count {
      let completion = ring.pointee.completions[ring.pointee.cursor]
      ring.pointee.cursor += 1
      let token = Token(rawValue: completion.data)
      let event: Event
      switch token.kind {
      case .stream: event = received(ring, token.index, completion)
      case .send: event = sent(token.index, completion)
      case .connect: event = connectDone(token.index, completion)
      case .listener, .foreign: event = watchFired(token, completion)
      case .bell:
        armBell()
        bell.silence()
        return Event(.mailbox, Owner(rawValue: 0))
      case .cancel: continue
      }
      if event.kind != .none { return event }
    }
    return Event(.none, Owner(rawValue: 0))
  }

  // MARK: - Receiving

  func armReceive(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    guard let ring, socket.pointee.flags.isDisjoint(with: [.armed, .closed]) else { return }
    let token = Token(.stream, index: index, generation: sockets.generation(index))
    let isEmpty: Int32 = socket.pointee.flags.contains(.bulk) ? 0 : 1
    guard
      clinux_ring_recv(ring.pointee.ring, socket.pointee.descriptor, isEmpty, token.rawValue) != 0
    else {
      socket.pointee.flags.insert(.readable)
      heat(index, socket)
      return
    }
    socket.pointee.flags.insert(.armed)
    socket.pointee.flags.remove(.readable)
    socket.pointee.operations += 1
  }

  func rearm(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) -> Event {
    armReceive(index, socket)
    return Event(.none, socket.pointee.owner)
  }

  func disarm(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    guard let ring, socket.pointee.flags.contains(.armed),
      !socket.pointee.flags.contains(.disarming)
    else { return }
    socket.pointee.flags.insert(.disarming)
    let token = Token(.stream, index: index, generation: sockets.generation(index))
    ring.pointee.cancel(token.rawValue)
  }

  private func received(
    _ ring: UnsafeMutablePointer<RingState>,
    _ index: Int32,
    _ completion: clinux_completion
  ) -> Event {
    let socket = sockets[index]
    let block = clinux_buffer(completion.flags)
    if block >= 0 { ring.pointee.returned() }
    let isOver = clinux_has_more(completion.flags) == 0
    if isOver {
      socket.pointee.operations -= 1
      socket.pointee.flags.remove([.armed, .disarming])
    }
    if socket.pointee.flags.contains(.closed) {
      if block >= 0 { pool.release(block) }
      if isOver { releaseIfUnlisted(index, socket) }
      return Event(.none, socket.pointee.owner)
    }
    if completion.result > 0, block >= 0 {
      if clinux_has_bytes_left(completion.flags) != 0 {
        socket.pointee.flags.insert(.bulk)
        if completion.result == BlockPool.blockSize,
          socket.pointee.flags.isDisjoint(with: [.single, .paused])
        {
          readSurplus(index, socket)
        }
      } else {
        socket.pointee.flags.remove(.bulk)
      }
      if socket.pointee.flags.contains(.paused) {
        socket.pointee.flags.insert(.readable)
      } else if socket.pointee.flags.contains(.single),
        clinux_has_bytes_left(completion.flags) != 0
      {
        // A receive that is armed now takes another block before the owner has had a look.
        armLater(index, socket)
      } else {
        armReceive(index, socket)
      }
      return Event(.received, socket.pointee.owner, value: completion.result, block: block)
    }
    if block >= 0 { pool.release(block) }
    return receiveOver(ring, index, socket, completion.result)
  }

  /// Takes what else lies in a socket that filled its block, with one call, up to the watermark: a
  /// completion for each 16 KiB would cost more than the bytes.
  private func readSurplus(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    let (count, isFull) = readBulk(index, socket, first: -1)
    guard count > 0 else {
      // An end is seen again by the next receive; an error would not be.
      if count < 0, count != -Int64(EAGAIN), count != -Int64(EINTR) {
        socket.pointee.error = Int16(truncatingIfNeeded: -count)
        socket.pointee.flags.insert(.broken)
        heat(index, socket)
      }
      return
    }
    if !isFull { socket.pointee.flags.remove(.bulk) }
  }

  private func receiveOver(
    _ ring: UnsafeMutablePointer<RingState>,
    _ index: Int32,
    _ socket: UnsafeMutablePointer<SocketEntry>,
    _ result: Int32
  ) -> Event {
    switch result {
    case 0:
      guard !socket.pointee.flags.contains(.ended) else { break }
      socket.pointee.flags.insert(.ended)
      return Event(.endOfStream, socket.pointee.owner)
    case -ENOBUFS:
      if pool.isExhausted { isStarved = true }
      ring.pointee.growLoan()
      armLater(index, socket)
    case -ECANCELED, -EINTR, -EAGAIN:
      armLater(index, socket)
    default:
      guard !socket.pointee.flags.contains(.ended) else { break }
      socket.pointee.flags.formUnion([.ended, .failed])
      socket.pointee.error = Int16(truncatingIfNeeded: -result)
      return Event(.failed, socket.pointee.owner, value: -result)
    }
    return Event(.none, socket.pointee.owner)
  }

  /// Arms the next receive with the next turn, or when the owner wants bytes again.
  private func armLater(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    socket.pointee.flags.insert(.readable)
    if !socket.pointee.flags.contains(.paused) { heat(index, socket) }
  }

  // MARK: - Sending

  func flushRing(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    guard let ring, socket.pointee.flags.isDisjoint(with: [.sending, .connecting]) else { return }
    guard socket.pointee.queued > 0 else {
      if socket.pointee.flags.contains(.finish) {
        socket.pointee.flags.remove(.finish)
        shutdown(socket.pointee.descriptor, Int32(SHUT_WR))
      }
      return
    }
    let token = Token(.send, index: index, generation: sockets.generation(index)).rawValue
    let first = segments[socket.pointee.firstSegment].pointee
    let isPrepared: Int32
    // Without a message free the first segment goes alone.
    if first.next >= 0, let (message, parts) = ring.pointee.nextMessage() {
      let (count, _) = gather(socket, parts)
      message.initialize(to: msghdr())
      message.pointee.msg_iov = parts.baseAddress
      message.pointee.msg_iovlen = count
      isPrepared = clinux_ring_sendv(ring.pointee.ring, socket.pointee.descriptor, message, token)
    } else {
      isPrepared = clinux_ring_send(
        ring.pointee.ring,
        socket.pointee.descriptor,
        pool.bytes(first.block) + Int(first.start),
        Int(first.count),
        token
      )
    }
    guard isPrepared != 0 else {
      noteFailure(index, socket, code: ENOBUFS)
      return
    }
    socket.pointee.flags.insert(.sending)
    socket.pointee.operations += 1
  }

  private func sent(_ index: Int32, _ completion: clinux_completion) -> Event {
    let socket = sockets[index]
    socket.pointee.operations -= 1
    socket.pointee.flags.remove(.sending)
    guard !socket.pointee.flags.contains(.closed) else {
      dropSegments(socket)
      releaseIfUnlisted(index, socket)
      return Event(.none, socket.pointee.owner)
    }
    if completion.result >= 0 {
      consume(index, socket, Int(completion.result))
      flushRing(index, socket)
    } else if completion.result == -EINTR || completion.result == -EAGAIN {
      flushRing(index, socket)
    } else {
      noteFailure(index, socket, code: -completion.result)
    }
    return Event(.none, socket.pointee.owner)
  }

  // MARK: - Connecting, accepting, closing

  func connectRing(
    _ index: Int32,
    _ descriptor: Int32,
    _ address: UnsafePointer<KernelAddress>
  ) -> Int32 {
    guard let ring else { return -EINVAL }
    let token = Token(.connect, index: index, generation: sockets.generation(index))
    guard
      clinux_ring_connect(
        ring.pointee.ring,
        descriptor,
        ring.pointee.keep(address, for: index),
        address.pointee.length,
        token.rawValue
      ) != 0
    else { return -ENOBUFS }
    sockets[index].pointee.operations += 1
    return 0
  }

  private func connectDone(_ index: Int32, _ completion: clinux_completion) -> Event {
    let socket = sockets[index]
    socket.pointee.operations -= 1
    socket.pointee.flags.remove(.connecting)
    guard !socket.pointee.flags.contains(.closed) else {
      releaseIfUnlisted(index, socket)
      return Event(.none, socket.pointee.owner)
    }
    guard completion.result >= 0 else {
      socket.pointee.flags.formUnion([.ended, .failed])
      return Event(.failed, socket.pointee.owner, value: -completion.result)
    }
    armReceive(index, socket)
    flushRing(index, socket)
    return Event(.connected, socket.pointee.owner)
  }

  private func watchFired(_ token: Token, _ completion: clinux_completion) -> Event {
    let watch = watches[token.index]
    let isOver = clinux_has_more(completion.flags) == 0
    if isOver { watch.pointee.isArmed = false }
    if watch.pointee.isEnded {
      let owner = watch.pointee.owner
      if isOver { watches.release(token.index) }
      // Accepted before the cancel: the client is connected and must not be dropped.
      let isClient = token.kind == .listener && completion.result >= 0
      return isClient
        ? Event(.accepted, owner, value: completion.result) : Event(.none, owner)
    }
    if token.kind == .foreign {
      arm(token.index, watch, isNew: false)
      return Event(.ready, watch.pointee.owner, value: max(0, completion.result))
    }
    guard completion.result < 0 else {
      if isOver, !watch.pointee.isPaused { arm(token.index, watch, isNew: false) }
      return Event(.accepted, watch.pointee.owner, value: completion.result)
    }
    switch -completion.result {
    case ECANCELED where watch.pointee.isPaused:
      return Event(.none, watch.pointee.owner)
    case EMFILE, ENFILE, ENOMEM, ENOBUFS:
      // Out of descriptors or memory: the owner pauses and resumes, which arms again.
      watch.pointee.isPaused = true
      return Event(.failed, watch.pointee.owner, value: -completion.result)
    default:
      if isOver, !watch.pointee.isPaused { arm(token.index, watch, isNew: false) }
      return Event(.none, watch.pointee.owner)
    }
  }

  /// Ends what is under way, then closes; both in the order of submission.
  func closeRing(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    guard let ring else { return }
    let generation = sockets.generation(index)
    let flags = socket.pointee.flags
    if flags.contains(.armed), !flags.contains(.disarming) {
      ring.pointee.cancel(Token(.stream, index: index, generation: generation).rawValue)
    }
    if flags.contains(.sending) {
      ring.pointee.cancel(Token(.send, index: index, generation: generation).rawValue)
    }
    if flags.contains(.connecting) {
      ring.pointee.cancel(Token(.connect, index: index, generation: generation).rawValue)
    }
    if clinux_ring_close(ring.pointee.ring, socket.pointee.descriptor, Token.cancel.rawValue) == 0 {
      ring.pointee.submit()
      Glibc.close(socket.pointee.descriptor)
    }
    // Bytes in the kernel's hands stay put until its completion; the rest can go now.
    if !flags.contains(.sending) { dropSegments(socket) }
    releaseIfUnlisted(index, socket)
  }
}
