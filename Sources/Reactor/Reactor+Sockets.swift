internal import CLinux
internal import Glibc
internal import Units

/// Sockets as their owners see them: adopt, connect, pause, write, close.
extension Reactor {
  /// Takes a connected, non-blocking descriptor over and begins to read it.
  ///
  /// - Returns: The socket, or -1 when the bound is reached or the kernel refuses; the descriptor
  ///   is closed then.
  public func adopt(_ descriptor: Int32, owner: Owner) -> Int32 {
    let index = newEntry(descriptor, owner: owner, flags: [])
    guard index >= 0 else {
      Glibc.close(descriptor)
      return -1
    }
    return startReading(index) ? index : -1
  }

  /// Begins to connect; the outcome comes as `connected` or `failed`.
  ///
  /// The owner bounds the wait with a timer of its own.
  ///
  /// - Returns: The socket, or a negative error number.
  public func connect(to address: UnsafePointer<KernelAddress>, owner: Owner) -> Int32 {
    let made = clinux_stream_socket(address.pointee.family)
    guard made >= 0 else { return Int32(made) }
    let descriptor = Int32(made)
    if !address.pointee.isUnix { clinux_no_delay(descriptor) }
    let index = newEntry(descriptor, owner: owner, flags: .connecting)
    guard index >= 0 else {
      Glibc.close(descriptor)
      return -ENOBUFS
    }
    let result =
      ring == nil
      ? connectEpoll(index, descriptor, address) : connectRing(index, descriptor, address)
    guard result < 0 else { return index }
    Glibc.close(descriptor)
    sockets.release(index)
    return result
  }

  /// Names a new owner: a connection that leaves a pool has another one than before.
  public func setOwner(_ socket: Int32, _ owner: Owner) {
    // What a vectored read filled beyond its first block is on its way to the owner still.
    if surplus.socket == socket, surplus.owner == sockets[socket].pointee.owner {
      surplus.owner = owner
    }
    sockets[socket].pointee.owner = owner
  }

  /// The descriptor, for options and addresses.
  public func descriptor(_ socket: Int32) -> Int32 { sockets[socket].pointee.descriptor }

  /// Bytes that were written and that the kernel has not taken.
  public func queuedBytes(_ socket: Int32) -> Int { Int(sockets[socket].pointee.queued) }

  /// Asks for no more bytes; what the kernel already handed over still comes.
  public func pause(_ socket: Int32) {
    let entry = sockets[socket]
    guard !entry.pointee.flags.contains(.paused) else { return }
    entry.pointee.flags.insert(.paused)
    if ring != nil { disarm(socket, entry) }
  }

  /// Asks for bytes again.
  public func resume(_ socket: Int32) {
    let entry = sockets[socket]
    guard entry.pointee.flags.contains(.paused) else { return }
    entry.pointee.flags.remove(.paused)
    if entry.pointee.flags.contains(.readable) { heat(socket, entry) }
  }

  /// Whether one read may fill several blocks.
  ///
  /// Not for bytes of which it is unknown whether anybody takes them: before the owner can pause,
  /// the socket has handed over all that one read brought.
  public func readInBulk(_ socket: Int32, _ isAllowed: Bool) {
    let entry = sockets[socket]
    if isAllowed {
      entry.pointee.flags.remove(.single)
    } else {
      entry.pointee.flags.insert(.single)
      entry.pointee.flags.remove(.bulk)
    }
  }

  /// Asks for one `drained` event when at most `mark` bytes are unsent; at once when that is so.
  public func notifyWhenDrained(_ socket: Int32, below mark: Int) {
    let entry = sockets[socket]
    entry.pointee.drainMark = Int32(mark)
    // A notice that is due but not given yet was for another mark.
    entry.pointee.flags.remove(.drainDue)
    entry.pointee.flags.insert(.wantsDrain)
    noteDrain(socket, entry)
  }

  /// Queues bytes of a block to be sent at the end of the turn; one reference moves to the reactor.
  ///
  /// - Returns: `false` when the segment table is full; the reference is dropped then and the
  ///   connection has to be given up.
  @discardableResult
  public func write(_ socket: Int32, block: Int32, start: Int, count: Int) -> Bool {
    let entry = sockets[socket]
    guard count > 0, !entry.pointee.flags.contains(.ended) || entry.pointee.error == 0 else {
      pool.release(block)
      return true
    }
    let segment = segments.allocate()
    guard segment >= 0 else {
      segmentExhaustions += 1
      pool.release(block)
      return false
    }
    segments[segment].initialize(
      to: Segment(block: block, start: Int32(start), count: Int32(count), next: -1)
    )
    if entry.pointee.lastSegment >= 0 {
      segments[entry.pointee.lastSegment].pointee.next = segment
    } else {
      entry.pointee.firstSegment = segment
    }
    entry.pointee.lastSegment = segment
    entry.pointee.queued += Int32(count)
    dirty(socket, entry)
    return true
  }

  /// Copies bytes behind the last queued segment where that is cheap.
  ///
  /// - Returns: `false` when there is no room; the caller then takes a block of its own.
  public func append(_ socket: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    let entry = sockets[socket]
    let last = entry.pointee.lastSegment
    guard last >= 0 else { return false }
    let segment = segments[last]
    let end = Int(segment.pointee.start + segment.pointee.count)
    guard end + count <= BlockPool.blockSize, pool.isUnique(segment.pointee.block),
      // A segment that the kernel holds must not grow under it.
      !(entry.pointee.flags.contains(.sending) && entry.pointee.firstSegment == last)
    else { return false }
    (pool.bytes(segment.pointee.block) + end).update(from: bytes, count: count)
    segment.pointee.count += Int32(count)
    entry.pointee.queued += Int32(count)
    dirty(socket, entry)
    return true
  }

  /// Sends FIN once everything queued is sent; reading goes on.
  public func finishWriting(_ socket: Int32) {
    let entry = sockets[socket]
    entry.pointee.flags.insert(.finish)
    dirty(socket, entry)
  }

  /// Closes the socket and forgets what is unsent.
  ///
  /// `reset`: Whether the peer gets RST, which tells it that bytes are missing.
  public func close(_ socket: Int32, reset: Bool = false) {
    let entry = sockets[socket]
    guard !entry.pointee.flags.contains(.closed) else { return }
    entry.pointee.flags.insert(.closed)
    if reset { clinux_reset_on_close(entry.pointee.descriptor) }
    if ring == nil {
      Glibc.close(entry.pointee.descriptor)
      dropSegments(entry)
      // An entry in a list is freed when the list comes by.
      releaseIfUnlisted(socket, entry)
    } else {
      closeRing(socket, entry)
    }
  }

  // MARK: - Shared by both backends

  private func newEntry(_ descriptor: Int32, owner: Owner, flags: SocketEntry.Flags) -> Int32 {
    let index = sockets.allocate()
    guard index >= 0 else { return -1 }
    sockets[index].initialize(
      to: SocketEntry(
        owner: owner,
        descriptor: descriptor,
        flags: flags,
        firstSegment: -1,
        lastSegment: -1,
        queued: 0,
        drainMark: 0,
        nextDirty: -1,
        nextHot: -1,
        operations: 0,
        error: 0
      )
    )
    return index
  }

  private func startReading(_ index: Int32) -> Bool {
    let entry = sockets[index]
    guard ring == nil else {
      armReceive(index, entry)
      return true
    }
    let token = Token(.stream, index: index, generation: sockets.generation(index))
    let added = clinux_epoll_add_stream(
      epoll.descriptor,
      entry.pointee.descriptor,
      token.rawValue
    )
    guard added < 0 else { return true }
    Glibc.close(entry.pointee.descriptor)
    sockets.release(index)
    return false
  }

  private func dirty(_ index: Int32, _ entry: UnsafeMutablePointer<SocketEntry>) {
    guard !entry.pointee.flags.contains(.dirty) else { return }
    entry.pointee.flags.insert(.dirty)
    entry.pointee.nextDirty = firstDirty
    firstDirty = index
  }

  /// Sends what was queued in this turn: one send for each connection.
  func flushDirty() {
    while firstDirty >= 0 {
      let index = firstDirty
      let entry = sockets[index]
      firstDirty = entry.pointee.nextDirty
      entry.pointee.flags.remove(.dirty)
      if entry.pointee.flags.contains(.closed) {
        releaseIfUnlisted(index, entry)
      } else if ring == nil {
        flushEpoll(index, entry)
      } else {
        flushRing(index, entry)
      }
    }
  }

  /// Takes sent bytes off the queue.
  func consume(_ index: Int32, _ entry: UnsafeMutablePointer<SocketEntry>, _ sent: Int) {
    var left = Int32(sent)
    entry.pointee.queued -= left
    while left > 0 {
      let first = entry.pointee.firstSegment
      let segment = segments[first]
      if segment.pointee.count > left {
        segment.pointee.start += left
        segment.pointee.count -= left
        break
      }
      left -= segment.pointee.count
      entry.pointee.firstSegment = segment.pointee.next
      if segment.pointee.next < 0 { entry.pointee.lastSegment = -1 }
      pool.release(segment.pointee.block)
      segments.release(first)
    }
    noteDrain(index, entry)
  }

  private func noteDrain(_ index: Int32, _ entry: UnsafeMutablePointer<SocketEntry>) {
    guard entry.pointee.flags.contains(.wantsDrain),
      entry.pointee.queued <= entry.pointee.drainMark
    else { return }
    entry.pointee.flags.remove(.wantsDrain)
    entry.pointee.flags.insert(.drainDue)
    heat(index, entry)
  }

  /// Notes a failed send; the owner is told in the next turn, in order with its other events.
  func noteFailure(_ index: Int32, _ entry: UnsafeMutablePointer<SocketEntry>, code: Int32) {
    entry.pointee.error = Int16(truncatingIfNeeded: code)
    entry.pointee.flags.insert(.broken)
    dropSegments(entry)
    heat(index, entry)
  }

  func dropSegments(_ entry: UnsafeMutablePointer<SocketEntry>) {
    var segment = entry.pointee.firstSegment
    while segment >= 0 {
      let next = segments[segment].pointee.next
      pool.release(segments[segment].pointee.block)
      segments.release(segment)
      segment = next
    }
    entry.pointee.firstSegment = -1
    entry.pointee.lastSegment = -1
    entry.pointee.queued = 0
  }

  /// Frees a closed entry once no list and no operation holds it.
  func releaseIfUnlisted(_ index: Int32, _ entry: UnsafeMutablePointer<SocketEntry>) {
    guard entry.pointee.operations == 0, entry.pointee.flags.isDisjoint(with: [.dirty, .hot]) else {
      return
    }
    sockets.release(index)
  }
}
