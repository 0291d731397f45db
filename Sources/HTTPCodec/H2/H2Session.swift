public import Units

/// One connection of HTTP/2, without I/O: bytes in, events out, and the other way round.
///
/// ```
/// receive(bytes) -> nextEvent()... -> nextClosed()...        the peer's side
/// respond/request/offer/reset... -> send(into:) -> nextProgress()... -> nextClosed()...   ours
/// open --cut or GOAWAY sent--> isFinished                     then the transport is closed
/// ```
///
/// What the peer may do is bounded by `H2Settings`; what goes past a budget ends the session with
/// GOAWAY ENHANCE_YOUR_CALM and `failure` says for what. It belongs to its workspace's thread.
///
/// Source: RFC 9113, RFC 7541 (both through nghttp2), RFC 9218, RFC 8441.
public final class H2Session {
  let state: UnsafeMutablePointer<H2State>
  let native: NativeSession
  private let workspace: H2Workspace
  /// What nghttp2 has given out and the last block had no room for.
  private var rest = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
  /// Whether `receive` stopped before the end of what it had, and is to be called again, with the
  /// bytes that are left or none.
  public private(set) var isPaused = false

  /// Begins a session; `nil` when memory is short.
  ///
  /// - Parameters:
  ///   - isServer: Whether the peer is a client.
  ///   - settings: Bounds; what concerns streams opened by clients means nothing for a client.
  ///   - workspace: Of the worker that owns the session.
  public init?(isServer: Bool, settings: H2Settings, workspace: H2Workspace) {
    state = .allocate(capacity: 1)
    state.initialize(to: H2State(isServer: isServer, settings, workspace.memory))
    self.workspace = workspace
    guard
      let native = NativeSession(
        isServer: isServer,
        settings,
        state: state,
        setup: workspace.setup,
        memory: workspace.native
      )
    else {
      state.deinitialize(count: 1)
      state.deallocate()
      return nil
    }
    self.native = native
    state.pointee.native = native
  }

  deinit {
    state.pointee.isCut = true
    if state.pointee.memory.pointee.owner == state {
      state.pointee.memory.pointee.reset(for: nil)
    }
    while state.pointee.firstStream >= 0 { state.pointee.release(state.pointee.firstStream) }
    if let carry = state.pointee.carry { carry.discard() }
    native.destroy()
    state.deinitialize(count: 1)
    state.deallocate()
  }

  // MARK: - Receiving

  /// Takes bytes from the peer, 16 KiB at most, and makes events of them.
  ///
  /// Events of the workspace, whichever session they are of, must have been taken before. Positions
  /// in them count from `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: What arrived.
  ///   - count: How much of it.
  ///   - now: The present, for budgets.
  /// - Returns: Bytes used. Call again with the others, and whenever `isPaused`.
  public func receive(_ bytes: UnsafePointer<UInt8>, count: Int, at now: Instant) -> Int {
    precondition(state.pointee.memory.pointee.isDrained, "events of another reading are left")
    state.pointee.memory.pointee.reset(for: state)
    isPaused = false
    guard !state.pointee.isCut else { return count }
    let most = min(count, H2Memory.mostBytes)
    state.pointee.budget.refill(at: now)
    let ahead = min(state.pointee.ahead, most)
    let finding = state.pointee.walker.walk(
      bytes + ahead,
      count: most - ahead,
      charging: &state.pointee.budget
    )
    switch finding {
    case .nothing: break
    case .exhausted:
      state.pointee.enforceBudget()
      return count
    case .violation(let code):
      state.pointee.cut(.violation(code))
      return count
    }
    restore()
    state.pointee.markQueue()
    state.pointee.input = bytes
    var used = count
    do throws(NativeSession.Trouble) {
      used = try native.receive(bytes, most)
    } catch {
      fail(error)
      return count
    }
    state.pointee.input = nil
    // A caller may give fewer bytes now than it did before a pause.
    state.pointee.ahead = max(state.pointee.ahead, most) - used
    isPaused = used < most || state.pointee.memory.pointee.isStopped
    save()
    state.pointee.enforceBudget()
    if native.queued > state.pointee.settings.maximumQueued {
      state.pointee.cut(.abuse(.unreadOutput))
    }
    return used
  }

  private func restore() {
    state.pointee.memory.pointee.building.end()
    guard let carry = state.pointee.carry.take() else { return }
    state.pointee.memory.pointee.building = carry.restore(to: state.pointee.memory.pointee.block)
  }

  private func save() {
    guard state.pointee.memory.pointee.building.kind != .none else { return }
    state.pointee.carry = H2Carry(state.pointee.memory.pointee.building)
    state.pointee.memory.pointee.building.end()
  }

  private func fail(_ trouble: NativeSession.Trouble) {
    switch trouble {
    case .notHTTP2: state.pointee.cut(.notHTTP2)
    case .flooded: state.pointee.cut(.abuse(.unreadOutput))
    case .tooManyContinuations: state.pointee.cut(.abuse(.continuationFlood))
    case .broken: state.pointee.cut(.broken)
    }
    state.pointee.input = nil
    state.pointee.memory.pointee.building.end()
  }

  /// The next thing the peer did, or `nil` when all is told.
  ///
  /// What a client wanted is left out when its stream is gone again, or the session is at its end,
  /// so that a request that was reset right away costs nothing more.
  public func nextEvent() -> H2Event? {
    while let event = state.pointee.memory.pointee.take() {
      guard state.pointee.isServer else { return event }
      let isCut = state.pointee.isCut
      guard event.stream >= 0 else {
        if isCut { continue }
        return event
      }
      let entry = state.pointee.stream(event.stream)
      // Where both sides have said all, the last of it is for the caller, too: a tunnel goes on.
      let flags = entry.pointee.flags
      let isGone = flags.contains(.isClosed) && !flags.isSuperset(of: [.isReceived, .isSent])
      guard isCut || isGone else { return event }
      // Whoever was never told of a stream must not be told of its end.
      if event.kind == .request || event.kind == .oversizedRequest {
        entry.pointee.flags.remove(.isAnnounced)
      }
    }
    return nil
  }

  /// The next stream that is gone, or `nil`; to be asked when this session has no more events.
  public func nextClosed() -> H2Closed? {
    precondition(
      state.pointee.memory.pointee.isDrained || state.pointee.memory.pointee.owner != state,
      "events may name streams that would be given away"
    )
    return state.pointee.takeClosed()
  }

  // MARK: - Sending

  /// Writes what there is to send.
  ///
  /// - Parameters:
  ///   - output: Where to.
  ///   - capacity: Bytes there; whole blocks, as frames are made to fit.
  /// - Returns: Bytes written; less than 512 below the capacity there may be more to come, see
  ///   `wantsWrite`.
  public func send(into output: UnsafeMutablePointer<UInt8>, capacity: Int) -> Int {
    var count = sendRest(output, capacity)
    while count < capacity, rest.isEmpty, !state.pointee.isCut {
      state.pointee.output = output + count
      state.pointee.room = capacity - count
      state.pointee.written = 0
      do throws(NativeSession.Trouble) {
        rest = try native.send()
      } catch {
        state.pointee.cut(.broken)
      }
      state.pointee.output = nil
      count += state.pointee.written
      if !rest.isEmpty { state.pointee.hasSpoken = true }
      if rest.isEmpty { break }
      count += sendRest(output + count, capacity - count)
    }
    state.pointee.enforceBudget()
    if state.pointee.isCut { count += sendGoodbye(output + count, capacity - count) }
    return count
  }

  private func sendRest(_ output: UnsafeMutablePointer<UInt8>, _ capacity: Int) -> Int {
    guard let start = rest.baseAddress, !rest.isEmpty else { return 0 }
    let count = min(rest.count, capacity)
    output.update(from: start, count: count)
    rest = UnsafeBufferPointer(rebasing: rest[count...])
    return count
  }

  /// GOAWAY of our own making, for when nghttp2 is not to be asked any more.
  ///
  /// SETTINGS must come before all else (RFC 9113 section 3.4): a session that its first bytes ended
  /// sends them empty. A client that has not begun has nothing to end.
  private func sendGoodbye(_ output: UnsafeMutablePointer<UInt8>, _ capacity: Int) -> Int {
    let isFirst = !state.pointee.hasSpoken
    let start = isFirst ? H2GoAway.settingsLength : 0
    guard rest.isEmpty, !state.pointee.isGoodbyeSent, capacity >= start + H2GoAway.length else {
      return 0
    }
    state.pointee.isGoodbyeSent = true
    guard let code = goodbye, state.pointee.isServer || !isFirst else { return 0 }
    if isFirst { H2GoAway.writeSettings(to: output) }
    H2GoAway.write(code, last: native.lastStream, to: output + start)
    return start + H2GoAway.length
  }

  /// What GOAWAY says, `nil` where there is none.
  private var goodbye: H2ErrorCode? {
    switch state.pointee.failure {
    case .notHTTP2, nil: nil
    case .violation(let code): code
    case .abuse, .late(.frame): .enhanceYourCalm
    case .late(.settings): .settingsTimeout
    case .broken: .internalError
    }
  }

  /// The next stream of which offered bytes were sent since it was named last, or -1.
  ///
  /// `takeSent` says how many; `awaitsTrailers` whether it is time for trailers.
  public func nextProgress() -> Int32 { state.pointee.takeListed() }

  // MARK: - The connection

  /// Why the session cannot go on, or `nil`; what is to be sent should be sent still.
  public var failure: H2Failure? { state.pointee.failure }

  /// Whether there is something to send now.
  public var wantsWrite: Bool {
    if !rest.isEmpty { return true }
    return state.pointee.isCut ? !state.pointee.isGoodbyeSent : native.wantsWrite
  }

  /// Whether the transport is to be closed: nothing is left to be said.
  public var isFinished: Bool {
    guard rest.isEmpty else { return false }
    if state.pointee.isCut { return state.pointee.isGoodbyeSent }
    return !native.wantsRead && !native.wantsWrite
  }

  /// Streams that are open, or closed and not yet asked for.
  public var openStreams: Int { state.pointee.openStreams }
}
