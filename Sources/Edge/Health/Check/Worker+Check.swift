internal import Reactor
internal import TLS
internal import Telemetry
internal import Units
internal import Upstream

/// Health checks: who is checked by this worker, when, and what came of it.
///
/// Each endpoint is checked by the worker whose number its place says, so workers share the work
/// without a word; results go to the `HealthTable`, which all of them read. Checks take no
/// connection of a pool, no permit and no ticket of a breaker, and count in no request's metrics.
extension Worker {
  /// Takes the checks of a configuration; what was known of endpoints that stay goes on.
  func adoptChecks(_ snapshot: Snapshot) {
    guard !snapshot.checks.isEmpty || !checks.isEmpty else { return }
    var wanted = Set<Int32>()
    for plan in snapshot.checks {
      for endpoint in plan.endpoints
      where Int(endpoint.lease.place) % mailboxes.count == number {
        wanted.insert(endpoint.lease.place)
        adopt(plan, endpoint)
      }
      plan.fleet(shared.health).judge(at: reactor.now)
    }
    for place in checks.places where !wanted.contains(place) { dropCheck(of: place) }
  }

  private func adopt(_ plan: CheckPlan, _ endpoint: CheckPlan.Endpoint) {
    let place = endpoint.lease.place
    if let index = checks.index(of: place), let check = checks[index] {
      if check.endpoint.lease === endpoint.lease {
        check.plan = plan
        check.endpoint = endpoint
        // A shorter interval holds at once.
        let latest = reactor.now + plan.settings.wait(isDown: false, using: &random)
        if check.talk == nil, !check.isQueued, check.due > latest {
          check.due = latest
          reactor.timers.set(check.timer, at: latest)
        }
        return
      }
      dropCheck(of: place)
    }
    let timer = reactor.timers.allocate(for: owner(.checkTimer, checks.nextIndex, 0))
    // Cannot be: the wheel has a place for each endpoint that a process may know.
    guard timer >= 0 else { return }
    let due = reactor.now + plan.settings.firstWait(using: &random)
    checks.insert(EndpointCheck(plan, endpoint, timer: timer, due: due))
    reactor.timers.set(timer, at: due)
  }

  private func dropCheck(of place: Int32) {
    guard let index = checks.index(of: place), let check = checks[index] else { return }
    if let talk = check.talk {
      reactor.close(talk.socket)
      check.talk = nil
      checks.running -= 1
    }
    reactor.timers.release(check.timer)
    checks.remove(index)
    CheckFleet.forget(place, in: shared.health)
    startQueuedChecks()
  }

  /// Ends all checks, with the worker.
  func closeChecks() {
    for check in checks.entries {
      guard let talk = check?.talk else { continue }
      reactor.close(talk.socket)
      check?.talk = nil
    }
  }

  // MARK: - Time

  func checkTimerFired(_ index: Int32) {
    guard let check = checks[index], !check.isQueued else { return }
    guard check.talk == nil else { return endCheck(index, .timeout) }
    guard check.due <= reactor.now else { return reactor.timers.set(check.timer, at: check.due) }
    guard checks.running < CheckTable.mostRunning else { return checks.enqueue(index) }
    startCheck(index, check)
  }

  private func startQueuedChecks() {
    // One that fails as it starts ends at once, and comes here again.
    guard !checks.isStarting else { return }
    checks.isStarting = true
    defer { checks.isStarting = false }
    while checks.running < CheckTable.mostRunning, let index = checks.dequeue() {
      if let check = checks[index] { startCheck(index, check) }
    }
  }

  private func startCheck(_ index: Int32, _ check: EndpointCheck) {
    checks.running += 1
    let socket = reactor.connect(to: check.endpoint.address, owner: owner(.check, index, 0))
    guard socket >= 0 else {
      // Descriptors or entries of ours that ran out say nothing of the endpoint.
      return endCheck(index, Self.isOurs(-socket) ? nil : .connectFailure)
    }
    check.talk = CheckTalk(check.plan, check.endpoint, socket: socket)
    reactor.timers.set(check.timer, at: reactor.now + check.plan.settings.timeout)
  }

  /// A check is over.
  ///
  /// `result`: What it came to; `nil` where it could not be made.
  func endCheck(_ index: Int32, _ result: CheckResult?) {
    guard let check = checks[index] else { return }
    if let talk = check.talk {
      reactor.close(talk.socket)
      check.talk = nil
    }
    checks.running -= 1
    let fleet = check.plan.fleet(shared.health)
    if let result, fleet.note(result, at: check.place, now: reactor.now) {
      shared.healthNews.post(
        HealthNews.Entry(
          service: check.plan.service,
          endpoint: check.endpoint.name,
          isUp: result == .success,
          result: result
        )
      )
      // The slow plane sleeps by this bell.
      shared.names.changed.wake()
    }
    let state = shared.health.record(check.place).check
    let wait = check.plan.settings.wait(
      isDown: state.verdict == .down,
      isDoubted: state.streak > 0,
      using: &random
    )
    check.due = reactor.now + wait
    reactor.timers.set(check.timer, at: check.due)
    startQueuedChecks()
  }
}
