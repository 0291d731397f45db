internal import Reactor
internal import Telemetry
internal import Upstream

/// The names that the first worker keeps resolved for all of them.
extension Worker {
  /// Takes a new set of names, if there is one.
  func readNames() {
    guard let questions = mailbox.takeQuestions() else { return }
    if resolver == nil, !questions.isEmpty {
      resolver = NameResolver(
        reactor: reactor,
        socketKind: OwnerKind.resolver.rawValue,
        timerKind: OwnerKind.resolverTimer.rawValue,
        board: shared.names,
        seed: random.next(),
        servers: shared.nameServers
      )
    }
    resolver?.replace(questions)
    countLookups()
  }

  func resolverReady(_ event: Event) {
    resolver?.socketReady(event)
    countLookups()
  }

  func resolverTimerFired() {
    resolver?.timerFired()
    countLookups()
  }

  private func countLookups() {
    guard let tally = resolver?.takeTally() else { return }
    meter.shard.add(meter.more.nameLookups[NameLookupOutcome.ok.rawValue], tally.changed)
    meter.shard.add(meter.more.nameLookups[NameLookupOutcome.failed.rawValue], tally.failed)
    meter.shard.add(meter.more.nameLookups[NameLookupOutcome.unchanged.rawValue], tally.unchanged)
  }
}

/// Labels of the lookup counter.
enum NameLookupOutcome: Int, CaseIterable {
  /// An answer that changed the addresses.
  case ok
  case failed
  case unchanged
}
