internal import Configuration
internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import TLS
internal import Units
internal import Upstream

/// A check on its connection: connect, prelude, TLS, question and answer.
///
/// Whatever the service does is bounded by the check's time and by bytes: `CheckTalk.mostBytes`, and
/// those of each protocol. Nothing here is on the path of requests.
extension Worker {
  /// Whether a connect failed for want of something of our own.
  static func isOurs(_ code: Int32) -> Bool {
    [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL].contains(code)
  }

  func handleCheck(_ index: Int32, _ event: Event) {
    defer { if event.kind == .received { reactor.pool.release(event.block) } }
    guard let talk = checks[index]?.talk else { return }
    switch event.kind {
    case .connected: finishStep(index, checkConnected(talk))
    case .failed where !talk.isConnected:
      endCheck(index, Self.isOurs(event.value) ? nil : .connectFailure)
    case .received:
      let bytes = UnsafeBufferPointer(
        start: UnsafePointer(reactor.pool.bytes(event.block)),
        count: Int(event.value)
      )
      finishStep(index, take(bytes, talk))
    case .endOfStream, .failed: endCheck(index, isShaking(talk) ? .tlsFailure : .broken)
    case .none, .drained, .accepted, .ready, .timer, .mailbox: break
    }
  }

  private func finishStep(_ index: Int32, _ step: CheckStep) {
    switch step {
    case .more: break
    case .over(let result): endCheck(index, result)
    // Memory of ours that ran out says nothing of the endpoint.
    case .starved: endCheck(index, nil)
    }
  }

  private func isShaking(_ talk: CheckTalk) -> Bool { talk.tls != nil && !talk.isEstablished }

  private func checkConnected(_ talk: CheckTalk) -> CheckStep {
    talk.isConnected = true
    reactor.readInBulk(talk.socket, false)
    // The prelude of a connection that is nobody's but the edge's own.
    switch talk.plan.prelude {
    case .none: break
    case .version1: guard sendClear(Self.prelude1, talk) else { return .starved }
    case .version2: guard sendClear(Self.prelude2, talk) else { return .starved }
    }
    guard let target = talk.endpoint.target else {
      return ask(talk, talk.plan.http == .http2 ? .http2 : .http1)
    }
    // Without sessions to resume: a resumed one would not look at the certificate.
    guard let tls = TLSSession(client: target.tls.context, host: target.host) else {
      return .starved
    }
    talk.tls = tls
    return decrypt(talk)
  }

  /// Unknown to the service, as the PROXY protocol wants it of health checks: section 2.1 and 2.2,
  /// the command LOCAL.
  private static let prelude1 = Array("PROXY UNKNOWN\r\n".utf8)
  private static let prelude2: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x20, 0x00, 0x00, 0x00,
  ]

  /// The way is free: the question goes out.
  private func ask(_ talk: CheckTalk, _ spoken: ApplicationProtocol) -> CheckStep {
    if talk.plan.kind == .tcp { return .over(.success) }
    switch spoken {
    case .http1:
      // A call of gRPC needs HTTP/2, which an endpoint that may choose did not.
      guard talk.plan.kind == .http else { return .over(.unexpectedAnswer) }
      talk.conversation = .http1(HTTP1Check())
      let request = talk.endpoint.request
      return send(request.start, request.count, talk)
    case .http2:
      guard let check = HTTP2Check(talk.plan, workspace), check.ask(talk.endpoint) else {
        return .starved
      }
      talk.conversation = .http2(check)
      return flush(check, talk)
    }
  }

  // MARK: - Receiving

  private func take(_ bytes: UnsafeBufferPointer<UInt8>, _ talk: CheckTalk) -> CheckStep {
    talk.received += bytes.count
    guard talk.received <= CheckTalk.mostBytes else { return .over(.broken) }
    guard talk.tls != nil else { return hear(bytes, talk) }
    talk.input.append(contentsOf: bytes)
    return decrypt(talk)
  }

  /// Takes plaintext.
  private func hear(_ bytes: UnsafeBufferPointer<UInt8>, _ talk: CheckTalk) -> CheckStep {
    guard let start = bytes.baseAddress else { return .more }
    switch talk.conversation {
    // Nobody was asked anything.
    case .none: return .over(.broken)
    case .http1(var check):
      let result = check.take(bytes, talk.plan, fields: responseFields)
      talk.conversation = .http1(check)
      return result.map(CheckStep.over) ?? .more
    case .http2(let check):
      if let result = check.take(start, count: bytes.count, at: reactor.now) {
        return .over(result)
      }
      return flush(check, talk)
    }
  }

  /// Goes on with the handshake, or decrypts what came.
  private func decrypt(_ talk: CheckTalk) -> CheckStep {
    guard let tls = talk.tls else { return .more }
    if checks.plaintext.isEmpty {
      checks.plaintext = [UInt8](repeating: 0, count: BlockPool.blockSize)
    }
    while true {
      guard let block = acquire() else { return .starved }
      let (step, used, made) = talk.input.withUnsafeBufferPointer { input in
        checks.plaintext.withUnsafeMutableBufferPointer { plain in
          var window = CiphertextWindow(
            input: input.baseAddress,
            inputCount: input.count,
            output: reactor.pool.bytes(block),
            outputRoom: BlockPool.blockSize
          )
          guard talk.isEstablished, let room = plain.baseAddress else {
            return (tls.handshake(&window), window.consumed, window.produced)
          }
          let step = tls.read(into: room, capacity: plain.count, &window)
          return (step, window.consumed, window.produced)
        }
      }
      talk.input.removeFirst(used)
      guard put(block, made, talk) else { return .starved }
      switch step {
      case .established:
        talk.isEstablished = true
        guard let target = talk.endpoint.target,
          let spoken = target.tls.context.spoken(tls.applicationProtocol)
        else { return .over(.tlsFailure) }
        let step = ask(talk, spoken)
        guard case .more = step else { return step }
      case .plaintext(let count):
        // What hears it may want the same room for what it sends.
        let plain = Array(checks.plaintext[..<count])
        let step = plain.withUnsafeBufferPointer { hear($0, talk) }
        guard case .more = step else { return step }
      case .needsInput: return .more
      case .needsOutput where made > 0: continue
      case .closed: return .over(.broken)
      case .needsOutput, .fault: return .over(talk.isEstablished ? .broken : .tlsFailure)
      }
    }
  }

  // MARK: - Sending

  private func flush(_ check: HTTP2Check, _ talk: CheckTalk) -> CheckStep {
    while check.session.wantsWrite {
      guard let block = acquire() else { return .starved }
      let bytes = reactor.pool.bytes(block)
      let count = check.session.send(into: bytes, capacity: BlockPool.blockSize)
      guard count > 0, talk.tls != nil else {
        guard put(block, count, talk) else { return .starved }
        if count == 0 { break }
        continue
      }
      let step = send(bytes, count, talk)
      reactor.pool.release(block)
      guard case .more = step else { return step }
    }
    // The goodbye to a peer at fault is on its way, and nothing will come of the question.
    return check.session.isFinished ? .over(.broken) : .more
  }

  /// Sends plaintext, encrypted where the service speaks TLS.
  private func send(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ talk: CheckTalk) -> CheckStep {
    guard let tls = talk.tls else {
      let buffer = UnsafeBufferPointer(start: bytes, count: count)
      return sendClear(buffer, talk) ? .more : .starved
    }
    var sent = 0
    while sent < count {
      guard let block = acquire() else { return .starved }
      var window = CiphertextWindow(
        input: nil,
        inputCount: 0,
        output: reactor.pool.bytes(block),
        outputRoom: BlockPool.blockSize
      )
      let step = tls.write(bytes + sent, count: count - sent, &window)
      guard put(block, window.produced, talk) else { return .starved }
      switch step {
      case .plaintext(let accepted): sent += accepted
      case .needsOutput where window.produced > 0: break
      default: return .over(.broken)
      }
    }
    return .more
  }

  private func sendClear(_ bytes: some Collection<UInt8>, _ talk: CheckTalk) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard let block = acquire() else { return false }
      let part = rest.prefix(BlockPool.blockSize)
      for (offset, byte) in part.enumerated() { reactor.pool.bytes(block)[offset] = byte }
      guard put(block, part.count, talk) else { return false }
      rest = rest.dropFirst(part.count)
    }
    return true
  }

  private func acquire() -> Int32? {
    let block = reactor.pool.acquire()
    return block >= 0 ? block : nil
  }

  /// Queues the first bytes of a block, whose reference moves along.
  private func put(_ block: Int32, _ count: Int, _ talk: CheckTalk) -> Bool {
    guard count > 0 else {
      reactor.pool.release(block)
      return true
    }
    return reactor.write(talk.socket, block: block, start: 0, count: count)
  }
}

/// What a step of a check came to.
private enum CheckStep {
  /// More has to come.
  case more
  case over(CheckResult)
  /// Something of our own ran out.
  case starved
}
