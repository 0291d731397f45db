internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import TLS
internal import Units

/// TLS between a socket and what is spoken on it.
///
/// Ciphertext is used up as it comes, so nothing of it is kept.
extension LoadClient {
  /// Room for what TLS itself has to say.
  static let scratchSize = 16_384
  /// Ciphertext up to this many bytes is copied behind what is queued.
  private static let smallWrite = 4_096

  func beginHandshake(_ index: Int32) {
    let connection = connections[index]
    guard let context = secureContext,
      let session = TLSSession(client: context, host: target.host)
    else { return failHandshake(index, .internalError) }
    connection.pointee.tls = Unmanaged.passRetained(session)
    connection.pointee.state = .handshaking
    var window = CiphertextWindow(
      input: nil,
      inputCount: 0,
      output: scratch,
      outputRoom: Self.scratchSize
    )
    let step = session.handshake(&window)
    sendScratch(connection.pointee.socket, window.produced)
    if case .fault(let fault) = step { failHandshake(index, fault) }
  }

  /// Takes ciphertext; the block is released here.
  func decrypt(_ index: Int32, block: Int32, count: Int) {
    defer { reactor.pool.release(block) }
    let connection = connections[index]
    let generation = connections.generation(index)
    guard let session = connection.pointee.tls?.takeUnretainedValue() else { return }
    let bytes = UnsafePointer(reactor.pool.bytes(block))
    var offset = 0
    while connections.generation(index) == generation {
      let plain = connection.pointee.state == .handshaking ? -1 : reactor.pool.acquire()
      var window = CiphertextWindow(
        input: bytes + offset,
        inputCount: count - offset,
        output: scratch,
        outputRoom: Self.scratchSize
      )
      let step: TLSStep
      if connection.pointee.state == .handshaking {
        step = session.handshake(&window)
      } else {
        guard plain >= 0 else { return breakConnection(index, account.place(of: .noRoom)) }
        step = session.read(
          into: reactor.pool.bytes(plain),
          capacity: BlockPool.blockSize,
          &window
        )
      }
      offset += window.consumed
      sendScratch(connection.pointee.socket, window.produced)
      if case .plaintext(let count) = step {
        plainReceived(index, block: plain, count: count)
        continue
      }
      if plain >= 0 { reactor.pool.release(plain) }
      switch step {
      case .established: secured(index, session)
      case .needsInput: return
      case .needsOutput where window.produced > 0: continue
      case .closed: return ended(index)
      case .fault(let fault): return failSecure(index, fault)
      case .needsOutput, .plaintext: return failSecure(index, .internalError)
      }
    }
  }

  private func sendScratch(_ socket: Int32, _ count: Int) {
    guard count > 0, !reactor.append(socket, scratch, count: count) else { return }
    let block = reactor.pool.acquire()
    // Without one the target waits in vain, and the call's time runs out.
    guard block >= 0 else { return }
    reactor.pool.bytes(block).update(from: scratch, count: count)
    reactor.write(socket, block: block, start: 0, count: count)
  }

  private func secured(_ index: Int32, _ session: TLSSession) {
    let chosen = session.applicationProtocol
    if chosen != .http2, wireProtocol == .http2 || kinds.contains(where: \.isGRPC) {
      return breakConnection(index, word("tls: no-h2"))
    }
    speaksHTTP2 = chosen == .http2
    established(index, isHTTP2: chosen == .http2)
  }

  private func failSecure(_ index: Int32, _ fault: TLSFault) {
    guard connections[index].pointee.state != .handshaking else {
      return failHandshake(index, fault)
    }
    breakConnection(index, word("tls: \(fault.reason)"))
  }

  private func failHandshake(_ index: Int32, _ fault: TLSFault) {
    breakConnection(index, word("tls: \(fault.reason)"))
  }

  /// Encrypts and queues; false when the connection is of no use any more.
  func writeSecure(_ index: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    let connection = connections[index]
    guard let session = connection.pointee.tls?.takeUnretainedValue() else { return false }
    var offset = 0
    while offset < count {
      let block = reactor.pool.acquire()
      guard block >= 0 else { return false }
      var window = CiphertextWindow(
        input: nil,
        inputCount: 0,
        output: reactor.pool.bytes(block),
        outputRoom: BlockPool.blockSize
      )
      let step = session.write(bytes + offset, count: count - offset, &window)
      guard put(connection.pointee.socket, block, window.produced) else { return false }
      switch step {
      case .plaintext(let accepted): offset += accepted
      case .needsOutput where window.produced > 0: break
      default: return false
      }
    }
    return true
  }

  /// Queues the beginning of a block, which is given away.
  func put(_ socket: Int32, _ block: Int32, _ count: Int) -> Bool {
    let isCopied =
      count <= Self.smallWrite && reactor.append(socket, reactor.pool.bytes(block), count: count)
    if count == 0 || isCopied {
      reactor.pool.release(block)
      return true
    }
    return reactor.write(socket, block: block, start: 0, count: count)
  }

  /// The place of an error that is known by a word.
  func word(_ text: String) -> Int {
    var text = text
    return text.withUTF8 { account.place(of: .error, word: $0) }
  }
}
