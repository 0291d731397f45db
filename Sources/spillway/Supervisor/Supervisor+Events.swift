internal import Edge
internal import Glibc
internal import Logging
internal import Units

/// What happens to a supervisor: signals, reports of children, their ends, callers.
extension Supervisor {
  func handle(_ signal: Int32) {
    switch signal {
    case SIGCHLD: reap()
    case SIGTERM, SIGINT: stop(signal)
    case SIGUSR2: upgrade(for: nil)
    case SIGHUP:
      forward(signal)
      // A candidate may have read its configuration before the change.
      if candidate != nil { isReloadOwed = true }
    default: forward(signal)
    }
  }

  private func forward(_ signal: Int32) {
    if let current { kill(current.id, signal) }
  }

  private func stop(_ signal: Int32) {
    stopSignals += 1
    notifier.stopping()
    restartAt = .never
    if let candidate { kill(candidate.id, SIGKILL) }
    if stopSignals == 1 {
      logger.notice("stopping: draining the child")
      held.closeAll()
      forward(signal)
      if current == nil, children.isEmpty { exitCode = ExitCode.drained }
    } else {
      logger.notice("stopping at once")
      for child in children { kill(child.id, signal) }
    }
    armDrainLimit()
  }

  private func armDrainLimit() {
    guard let child = current else { return }
    let limit = Poller.now + child.drain + Self.drainSlack
    update(child.id) { $0.deadline = min($0.deadline, limit) }
  }

  // MARK: Reports

  func readReports() {
    for child in children where !child.isSilent {
      var received = child.channel.receive()
      while case .message(let text, let descriptor) = received {
        if let report = ChildReport(text: text) {
          take(report, descriptor: descriptor, from: child.id)
        } else if let descriptor {
          close(descriptor)
        }
        received = child.channel.receive()
      }
      if received == .closed { update(child.id) { $0.isSilent = true } }
    }
  }

  private func take(_ report: ChildReport, descriptor: Int32?, from id: Int32) {
    let isCurrent = current?.id == id
    switch report {
    case .bound, .dropped:
      if isCurrent, current?.isReady == true {
        held.apply(report, descriptor: descriptor)
      } else if isCurrent || candidate?.id == id {
        update(id) { $0.news.append((report, descriptor)) }
      } else if let descriptor {
        close(descriptor)
      }
      return
    case .learned:
      guard isCurrent, current?.isReady == true, let descriptor else { break }
      if learned >= 0 { close(learned) }
      learned = descriptor
      return
    case .ready(let drain, let path):
      update(id) {
        $0.phase = .ready(since: Poller.now)
        $0.deadline = .never
        $0.drain = Self.drainLimit(drain)
        $0.lastAlive = Poller.now
      }
      promote(id, pidFile: path)
    case .terms(let drain, let path):
      update(id) { $0.drain = Self.drainLimit(drain) }
      if isCurrent { movePidFile(to: path, for: id) }
    case .failed(let reason): update(id) { $0.reason = reason }
    case .alive: update(id) { $0.lastAlive = Poller.now }
    case .reloading: if isCurrent { notifier.reloading() }
    case .reloaded: if isCurrent { notifier.ready(status: "serving") }
    case .upgrade: if isCurrent { upgrade(for: nil) }
    }
    if let descriptor { close(descriptor) }
  }

  /// A child accepts: it is the one that serves from now on.
  private func promote(_ id: Int32, pidFile path: String) {
    if candidate?.id == id, let next = candidate {
      let old = current
      current = next
      candidate = nil
      if let old { drain(old) }
      answerWaiting("\(ControlSocket.done) child \(id) serves")
      logger.notice("upgrade done", metadata: ["child": "\(id)"])
      if isReloadOwed { kill(id, SIGHUP) }
      isReloadOwed = false
    }
    for (report, descriptor) in current?.news ?? [] { held.apply(report, descriptor: descriptor) }
    update(id) { $0.news = [] }
    wasEverReady = true
    movePidFile(to: path, for: id)
    notifier.ready(status: "serving")
  }

  private static func drainLimit(_ milliseconds: Int64) -> Nanoseconds {
    .milliseconds(min(max(milliseconds, 0), 86_400_000))
  }

  private func drain(_ old: ChildProcess) {
    var old = old
    old.phase = .draining
    old.deadline = Poller.now + old.drain + Self.drainSlack
    draining.append(old)
    old.channel.send(ParentLink.replaced)
    kill(old.id, SIGTERM)
  }

  // MARK: Ends

  private func reap() {
    for child in children {
      var status: Int32 = 0
      guard waitpid(child.id, &status, WNOHANG) == child.id else { continue }
      readReports()
      let signal = status & 0x7F
      let code = signal == 0 ? (status >> 8) & 0xFF : 128 + signal
      ended(child.id, code: code, signal: signal)
    }
  }

  private func ended(_ id: Int32, code: Int32, signal: Int32) {
    guard let child = children.first(where: { $0.id == id }) else { return }
    close(child.channel.descriptor)
    let news = child.news
    for descriptor in news.compactMap(\.descriptor) { close(descriptor) }
    let facts: Logger.Metadata = ["child": "\(id)", "code": "\(code)", "signal": "\(signal)"]
    if let at = draining.firstIndex(where: { $0.id == id }) {
      draining.remove(at: at)
      logger.notice("old child has drained", metadata: facts)
    } else if candidate?.id == id {
      candidate = nil
      let reason = child.reason ?? "the new process ended with code \(code)"
      logger.error("upgrade failed, the old child goes on", metadata: ["reason": "\(reason)"])
      answerWaiting("\(ControlSocket.failed) \(reason)")
      if current == nil, stopSignals == 0 { restartAt = Poller.now }
    } else {
      current = nil
      currentEnded(child, code: code, facts: facts)
    }
    if stopSignals > 0, children.isEmpty, exitCode == nil { exitCode = lastCode }
  }

  private func currentEnded(_ child: ChildProcess, code: Int32, facts: Logger.Metadata) {
    // One that was stopped before it served had nothing to drain.
    lastCode = stopSignals > 0 && !child.isReady ? ExitCode.drained : code
    if stopSignals > 0 { return }
    if !wasEverReady, ExitCode.isFinal(code) {
      logger.error("the child cannot start: giving up", metadata: facts)
      exitCode = code
      return
    }
    var served = Nanoseconds.zero
    if case .ready(let since) = child.phase { served = Poller.now - since }
    let delay = backoff.delay(served: served)
    logger.error(
      "child died, starting another",
      metadata: facts.merging(["delayMs": "\(delay.milliseconds)"]) { $1 }
    )
    // A candidate that is already on its way takes the place.
    if candidate == nil { restartAt = Poller.now + delay }
  }

  // MARK: Upgrade

  func readCallers() {
    for caller in callers {
      switch caller.receive() {
      case .nothing: continue
      case .closed: close(caller.descriptor)
      case .message(let text, let descriptor):
        if let descriptor { close(descriptor) }
        if text == ControlSocket.upgrade {
          upgrade(for: caller)
        } else {
          caller.send("\(ControlSocket.failed) unknown request")
          close(caller.descriptor)
        }
      }
      callers.removeAll { $0.descriptor == caller.descriptor }
    }
  }

  private func upgrade(for caller: PacketChannel?) {
    if let caller { waiting.append(caller) }
    guard stopSignals == 0 else { return answerWaiting("\(ControlSocket.failed) it is stopping") }
    guard candidate == nil else { return }
    guard current?.isReady == true else {
      return answerWaiting("\(ControlSocket.failed) no child serves yet; try again")
    }
    logger.notice("upgrade: starting a second child")
    candidate = start()
    guard candidate != nil else {
      return answerWaiting("\(ControlSocket.failed) cannot start \(program.path)")
    }
  }

  private func answerWaiting(_ text: String) {
    for caller in waiting {
      caller.send(text)
      close(caller.descriptor)
    }
    waiting = []
  }
}
