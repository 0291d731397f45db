internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import Units

/// Calls from their intended time to their end.
extension LoadClient {
  func start(_ due: DueCall) {
    account.offered(due.place)
    // To send what its caller gave up would make a late harness later still.
    guard now() < due.intended + kinds[due.kind].timeout else { return refuse(due, .harnessLate) }
    let index = calls.allocate()
    guard index >= 0 else { return refuse(due, .noRoom) }
    let owner = Owner(kind: OwnerKind.call, index: index, generation: calls.generation(index))
    let timer = reactor.timers.allocate(for: owner)
    guard timer >= 0 else {
      calls.release(index)
      return refuse(due, .noRoom)
    }
    calls[index].initialize(
      to: Call(
        intended: due.intended,
        giveUp: due.intended + kinds[due.kind].timeout,
        place: due.place,
        kind: Int32(due.kind)
      )
    )
    calls[index].pointee.timer = timer
    begin(index)
  }

  private func refuse(_ due: DueCall, _ reason: ErrorReason) {
    let latency = now() - due.intended
    account.ended(due.place, reason: account.place(of: reason), latency: latency)
    readyCallers += isClosedLoop ? 1 : 0
  }

  /// The next attempt: on an idle connection, a new one, or in the queue.
  private func begin(_ index: Int32) {
    let call = calls[index]
    call.pointee.attempts += 1
    call.pointee.isCounted = false
    armTimer(call)
    guard !assign(index) else { return }
    if !mayOpen || !open(for: index) {
      figures.waited += 1
      enqueue(index)
    }
  }

  /// Gives a call to a connection that takes one.
  private func assign(_ index: Int32) -> Bool {
    while let connection = takeIdle() {
      guard connections[connection].pointee.http2 == nil else {
        if begin(index, onSession: connection) { return true }
        continue
      }
      send(index, on: connection)
      return true
    }
    return false
  }

  /// Whether another connection makes sense: there is room, and what is being opened will not
  /// carry all that wait.
  var mayOpen: Bool {
    connections.count < bounds.most
      && !(isMultiplexed && opening * bounds.streams > waiting.count)
  }

  /// What every attempt begins with.
  func noteBegun(_ index: Int32, on connection: Int32) {
    let call = calls[index]
    call.pointee.connection = connection
    call.pointee.state = .active
    call.pointee.began = reactor.now
    call.pointee.sent = 0
    call.pointee.status = 0
    call.pointee.reason = -1
    call.pointee.grpcStatus = -1
    call.pointee.interims = 0
    // Sent once more it is the same attempt still.
    guard !call.pointee.isCounted else { return }
    call.pointee.isCounted = true
    account.attempted(call.pointee.place)
  }

  /// To the front of the queue, for the next connection that takes it.
  func putBack(_ index: Int32) {
    explanations.ended(index)
    endPace(calls[index])
    calls[index].pointee.connection = -1
    requeue(index)
  }

  private func armTimer(_ call: UnsafeMutablePointer<Call>) {
    var due = call.pointee.giveUp
    if let limit = kinds[Int(call.pointee.kind)].retries?.attemptTimeout {
      let from = call.pointee.attempts > 1 ? now() : call.pointee.intended
      due = min(due, from + limit)
    }
    reactor.timers.set(call.pointee.timer, at: due)
  }

  func timerFired(_ index: Int32) {
    let call = calls[index]
    switch call.pointee.state {
    case .pausing: begin(index)
    case .waiting:
      dequeue(index)
      // Short of the bound it is the target that lets nobody in.
      let isOurs = connections.count >= bounds.most && opening == 0
      let reason = account.place(of: isOurs ? .noConnection : .timedOut)
      finishAttempt(index, reason: reason, cause: .timeout)
    case .active:
      if call.pointee.stream >= 0 {
        giveUpStream(index)
      } else {
        closeConnection(call.pointee.connection)
      }
      finishAttempt(index, reason: account.place(of: .timedOut), cause: .timeout)
      serveWaiting()
    }
  }

  /// What an attempt came to; the call ends, or its caller tries again.
  func finishAttempt(_ index: Int32, reason: Int, cause: RetryBehaviour.Cause?) {
    let call = calls[index]
    call.pointee.connection = -1
    explanations.ended(index)
    endPace(call)
    if call.pointee.isCounted {
      account.attemptEnded(call.pointee.place, reason: reason)
    }
    let time = now()
    if let cause, let pause = pauseBeforeRetry(call, cause), time + pause < call.pointee.giveUp {
      call.pointee.state = .pausing
      call.pointee.isResent = false
      reactor.timers.set(call.pointee.timer, at: time + pause)
      return
    }
    account.ended(call.pointee.place, reason: reason, latency: time - call.pointee.intended)
    reactor.timers.release(call.pointee.timer)
    calls.release(index)
    readyCallers += isClosedLoop ? 1 : 0
  }

  private func pauseBeforeRetry(
    _ call: UnsafeMutablePointer<Call>,
    _ cause: RetryBehaviour.Cause
  ) -> Nanoseconds? {
    guard let retries = kinds[Int(call.pointee.kind)].retries, retries.causes.contains(cause),
      Int(call.pointee.attempts) <= retries.attempts
    else { return nil }
    let mean = Double(retries.backoff.rawValue) * Double(1 << (Int(call.pointee.attempts) - 1))
    return Nanoseconds(Int64(draw.uniform() * 2 * mean))
  }

  // MARK: - The queue for a connection

  private func enqueue(_ index: Int32) {
    let call = calls[index]
    call.pointee.state = .waiting
    call.pointee.previous = waiting.last
    call.pointee.next = -1
    if waiting.last >= 0 { calls[waiting.last].pointee.next = index } else { waiting.first = index }
    waiting.last = index
    waiting.count += 1
  }

  private func dequeue(_ index: Int32) {
    let call = calls[index].pointee
    if call.previous >= 0 {
      calls[call.previous].pointee.next = call.next
    } else {
      waiting.first = call.next
    }
    if call.next >= 0 {
      calls[call.next].pointee.previous = call.previous
    } else {
      waiting.last = call.previous
    }
    waiting.count -= 1
  }

  /// Gives the first of the queue the place of a connection that ended.
  ///
  /// All that there is room for: where connecting fails at once, nothing else would come to serve
  /// the others.
  func serveWaiting() {
    while waiting.count > 0 {
      let index = takeWaiting()
      if assign(index) { continue }
      guard mayOpen, open(for: index) else { return requeue(index) }
    }
  }

  private func requeue(_ index: Int32) {
    let call = calls[index]
    call.pointee.previous = -1
    call.pointee.next = waiting.first
    if waiting.first >= 0 {
      calls[waiting.first].pointee.previous = index
    } else {
      waiting.last = index
    }
    waiting.first = index
    waiting.count += 1
    call.pointee.state = .waiting
  }

  /// The call that waits longest, taken off the queue, or -1.
  func takeWaiting() -> Int32 {
    let index = waiting.first
    if index >= 0 { dequeue(index) }
    return index
  }

  /// Ends everything that is under way; the user wants to go.
  func endAll() {
    for index in 0..<Int32(calls.capacity) where calls.generation(index) & 1 == 1 {
      let call = calls[index]
      account.ended(
        call.pointee.place,
        reason: account.place(of: .stopped),
        latency: now() - call.pointee.intended
      )
      endPace(call)
      reactor.timers.release(call.pointee.timer)
      calls.release(index)
      if calls.count == 0 { break }
    }
  }
}
