internal import CLinux
internal import Glibc
internal import Reactor
internal import TLS
internal import Units

/// Ciphertext to plaintext, in the blocks that both are received in.
extension Worker {
  /// Room for what TLS itself has to say: answers of a handshake, alerts, key updates.
  static let secureScratch = 16_384

  /// A window over the first stretch of unread ciphertext, with the worker's room for output.
  func secureWindow(_ input: UnsafeMutablePointer<Input>) -> CiphertextWindow {
    let isEmpty = input.pointee.isEmpty
    return CiphertextWindow(
      input: isEmpty ? nil : UnsafePointer(bytes(input)),
      inputCount: isEmpty ? 0 : input.pointee.count,
      output: scratch,
      outputRoom: Self.secureScratch
    )
  }

  /// Books what a call used, and sends what it said.
  func finish(_ window: CiphertextWindow, _ link: UnsafeMutablePointer<SecureLink>) {
    if window.consumed > 0 { consume(&link.pointee.input, window.consumed) }
    if window.produced > 0 { sendScratch(link.pointee.socket, window.produced) }
  }

  /// Sends an alert before the socket is closed, as the reactor forgets what is unsent then.
  func sendAtOnce(_ window: CiphertextWindow, _ link: UnsafeMutablePointer<SecureLink>) {
    guard window.produced > 0, reactor.queuedBytes(link.pointee.socket) == 0 else { return }
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    _ = send(reactor.descriptor(link.pointee.socket), scratch, window.produced, flags)
  }

  private func sendScratch(_ socket: Int32, _ count: Int) {
    guard !reactor.append(socket, scratch, count: count) else { return }
    let block = reactor.pool.acquire()
    // The peer waits in vain then, and its time runs out.
    guard block >= 0 else { return }
    reactor.pool.bytes(block).update(from: scratch, count: count)
    reactor.write(socket, block: block, start: 0, count: count)
  }

  /// Decrypts what came, and hands it up until the owner wants no more.
  func decrypt(_ index: Int32) {
    let generation = secureLinks.generation(index)
    let link = secureLinks[index]
    guard let session = link.pointee.session?.takeUnretainedValue() else { return }
    while link.pointee.flags.isDisjoint(with: [.paused, .endDelivered]) {
      let hasEnded = link.pointee.flags.contains(.socketEnded)
      // An end or a fault behind plaintext is told by the next look.
      guard
        !link.pointee.input.isEmpty || hasEnded || session.hasUnread || session.peerEnded
          || session.fault != nil
      else { return reactor.resume(link.pointee.socket) }
      // Of several stretches only the last one is followed by nothing.
      if hasEnded, link.pointee.input.more.isEmpty { session.endInput() }
      let block = reactor.pool.acquire()
      guard block >= 0 else {
        isSecureStarved = true
        return makeHot(index)
      }
      var window = secureWindow(&link.pointee.input)
      let step = session.read(
        into: reactor.pool.bytes(block),
        capacity: BlockPool.blockSize,
        &window
      )
      let isStuck = window.produced == 0
      finish(window, link)
      if case .plaintext(let count) = step {
        tellReceived(index, block, count)
        // Whatever it said may have ended the connection.
        guard secureLinks.generation(index) == generation else { return }
        continue
      }
      reactor.pool.release(block)
      switch step {
      case .needsInput: break
      case .needsOutput where !isStuck: break
      case .closed: tellEnd(index)
      case .fault(let fault): return failSecure(index, fault)
      case .needsOutput, .plaintext, .established: return failSecure(index, .internalError)
      }
      guard secureLinks.generation(index) == generation else { return }
    }
    // What comes behind the end is nobody's.
    if link.pointee.flags.contains(.endDelivered) { drop(&link.pointee.input) }
  }

  func failSecure(_ index: Int32, _ fault: TLSFault) {
    let link = secureLinks[index]
    if link.pointee.isUpstream { return failUpstreamLink(index, fault) }
    // Whoever was told the end need not say good-bye.
    if fault != .truncated || !link.pointee.flags.contains(.finished) { meter.secureFault(fault) }
    tellFailure(index)
  }

  func pauseSecure(_ index: Int32) {
    let link = secureLinks[index]
    link.pointee.flags.insert(.paused)
    reactor.pause(link.pointee.socket)
  }

  func resumeSecure(_ index: Int32) {
    let link = secureLinks[index]
    guard link.pointee.flags.contains(.paused) else { return }
    link.pointee.flags.remove(.paused)
    guard link.pointee.phase == .open else { return reactor.resume(link.pointee.socket) }
    let hasEnded = link.pointee.flags.contains(.socketEnded)
    let hasUnread = link.pointee.session?.takeUnretainedValue().hasUnread ?? false
    if !link.pointee.input.isEmpty || hasUnread || hasEnded {
      // The socket goes on once this is decrypted: a read brings more than a pause lets through, and
      // each time that the owner pauses more would be left.
      makeHot(index)
    } else {
      reactor.resume(link.pointee.socket)
    }
  }
}
