internal import Glibc
internal import Reactor
internal import TLS
internal import Units

/// Plaintext to ciphertext: queued as it comes, encrypted once a turn so that what belongs together
/// is one record.
extension Worker {
  /// Plaintext that fits a block as one record, with what TLS 1.3 and AEAD add to it.
  private static let recordRoom = BlockPool.blockSize - 29
  /// Ciphertext up to this many bytes is copied behind what is queued, as it would hold a block.
  private static let smallCiphertext = 4_096

  func writeSecure(_ index: Int32, block: Int32, start: Int, count: Int) -> Bool {
    let link = secureLinks[index]
    guard count > 0, link.pointee.phase == .open,
      link.pointee.flags.isDisjoint(with: [.finish, .finished])
    else {
      reactor.pool.release(block)
      return true
    }
    guard push(block, start: start, count: count, to: &link.pointee.plain) else { return false }
    makeDirty(index, link)
    return true
  }

  func appendSecure(_ index: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    extend(&secureLinks[index].pointee.plain, with: bytes, count: count)
  }

  func queuedSecureBytes(_ index: Int32) -> Int {
    let link = secureLinks[index]
    return Int(link.pointee.plain.bytes) + reactor.queuedBytes(link.pointee.socket)
  }

  func notifyWhenSecureDrained(_ index: Int32, below mark: Int) {
    let link = secureLinks[index]
    link.pointee.drainMark = Int32(mark)
    link.pointee.flags.insert(.wantsDrain)
    // Where plaintext is queued the socket is asked once it has it all.
    if link.pointee.plain.isEmpty { reactor.notifyWhenDrained(link.pointee.socket, below: mark) }
  }

  func finishSecure(_ index: Int32) {
    let link = secureLinks[index]
    link.pointee.flags.insert(.finish)
    makeDirty(index, link)
  }

  private func makeDirty(_ index: Int32, _ link: UnsafeMutablePointer<SecureLink>) {
    guard !link.pointee.flags.contains(.dirty) else { return }
    link.pointee.flags.insert(.dirty)
    dirtyLinks.append(owner(.secure, index, secureLinks.generation(index)))
  }

  // MARK: - At the end of a turn

  func flushSecure() {
    swap(&dirtyLinks, &flushingLinks)
    for name in flushingLinks
    where owner(.secure, name.index, secureLinks.generation(name.index)) == name {
      secureLinks[name.index].pointee.flags.remove(.dirty)
      flush(name.index)
    }
    flushingLinks.removeAll(keepingCapacity: true)
  }

  private func flush(_ index: Int32) {
    let link = secureLinks[index]
    guard let session = link.pointee.session?.takeUnretainedValue() else { return }
    while !link.pointee.plain.isEmpty {
      let block = reactor.pool.acquire()
      guard block >= 0 else {
        isSecureStarved = true
        return makeDirty(index, link)
      }
      var window = CiphertextWindow(
        input: nil,
        inputCount: 0,
        output: reactor.pool.bytes(block),
        outputRoom: BlockPool.blockSize
      )
      let (bytes, count) = nextPiece(link)
      let step = session.write(bytes, count: count, &window)
      guard put(link.pointee.socket, block, window.produced) else {
        return failSecure(index, .internalError)
      }
      switch step {
      case .plaintext(let accepted): take(accepted, off: &link.pointee.plain)
      case .needsOutput where window.produced > 0: break
      case .fault(let fault): return failSecure(index, fault)
      default: return failSecure(index, .internalError)
      }
    }
    if link.pointee.flags.contains(.finish) { sayEnd(link, session) }
    if link.pointee.flags.contains(.wantsDrain) {
      reactor.notifyWhenDrained(link.pointee.socket, below: Int(link.pointee.drainMark))
    }
  }

  /// The plaintext of the next record: a stretch as it lies, or several brought together.
  private func nextPiece(
    _ link: UnsafeMutablePointer<SecureLink>
  ) -> (UnsafePointer<UInt8>, Int) {
    var at = link.pointee.plain.first
    let first = stretches[at].pointee
    let count = Int(first.end - first.start)
    guard count < Self.recordRoom, first.next >= 0 else {
      return (UnsafePointer(reactor.pool.bytes(first.block)) + Int(first.start), count)
    }
    var total = 0
    while at >= 0, total < Self.recordRoom {
      let stretch = stretches[at].pointee
      let part = min(Int(stretch.end - stretch.start), Self.recordRoom - total)
      (scratch + total).update(
        from: reactor.pool.bytes(stretch.block) + Int(stretch.start),
        count: part
      )
      total += part
      at = stretch.next
    }
    return (UnsafePointer(scratch), total)
  }

  private func put(_ socket: Int32, _ block: Int32, _ count: Int) -> Bool {
    if count == 0
      || count <= Self.smallCiphertext
        && reactor.append(socket, reactor.pool.bytes(block), count: count)
    {
      reactor.pool.release(block)
      return true
    }
    return reactor.write(socket, block: block, start: 0, count: count)
  }

  // MARK: - The end

  private func sayEnd(_ link: UnsafeMutablePointer<SecureLink>, _ session: TLSSession) {
    guard !link.pointee.flags.contains(.finished) else { return }
    link.pointee.flags.insert(.finished)
    var window = secureWindow(&link.pointee.input)
    _ = session.end(&window)
    finish(window, link)
    reactor.finishWriting(link.pointee.socket)
  }

  func closeSecure(_ index: Int32, reset: Bool) {
    let link = secureLinks[index]
    if !reset { sayGoodbye(link) }
    let socket = link.pointee.socket
    forget(index)
    reactor.close(socket, reset: reset)
  }

  /// Tells that nothing is missing, at once, as the reactor forgets what is unsent; where the
  /// kernel does not take it the client must think that something is.
  private func sayGoodbye(_ link: UnsafeMutablePointer<SecureLink>) {
    guard link.pointee.phase == .open, !link.pointee.flags.contains(.finished),
      link.pointee.plain.isEmpty, reactor.queuedBytes(link.pointee.socket) == 0,
      let session = link.pointee.session?.takeUnretainedValue()
    else { return }
    var window = CiphertextWindow(
      input: nil,
      inputCount: 0,
      output: scratch,
      outputRoom: Self.secureScratch
    )
    _ = session.end(&window)
    sendAtOnce(window, link)
  }

  /// Frees the entry and what it holds, but for the socket.
  func forget(_ index: Int32) {
    let link = secureLinks[index]
    if link.pointee.place != .none { unlist(index) }
    forgetAnswered(link)
    if link.pointee.phase == .handshaking {
      if link.pointee.isUpstream { noteEndOfHandshake(link) } else { handshakes -= 1 }
    }
    drop(&link.pointee.input)
    drop(&link.pointee.plain)
    link.pointee.session?.release()
    link.pointee.identity?.release()
    link.pointee.target?.release()
    secureLinks.release(index)
  }

  // MARK: - The client

  /// Who the client is by its certificate, `nil` where it showed none.
  func clientIdentity(_ transport: Transport) -> ClientIdentity? {
    var transport = transport
    if transport.isStream {
      // A tunnel that has outlived its stream has no session any more.
      guard transport.index != goneStream else { return nil }
      transport = sessions[links[Int(transport.index)].session].pointee.transport
    }
    guard transport.isSecure else { return nil }
    return secureLinks[transport.index].pointee.identity?.takeUnretainedValue()
  }
}
