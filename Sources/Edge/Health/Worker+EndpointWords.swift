internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// What an endpoint says of itself by how it answers.
extension Worker {
  /// Whether an endpoint answered at `instant` or later, and nothing is against it.
  func works(_ place: Int32, since instant: Instant) -> Bool {
    let state = endpoints + Int(place)
    guard state.pointee.works(since: instant, at: reactor.now) else { return false }
    guard state.pointee.policy >= 0 else { return true }
    let choice = snapshots.newest.policy(state.pointee.policy).pointee.choice
    return !shared.health.record(place).isDrained
      && shared.health.isHealthy(place, choice, knowsUp: false, at: reactor.now)
  }

  /// An endpoint answered 429 or 503: of two, the other one is asked for a while.
  func notePenalty(_ exchange: UnsafeMutablePointer<Exchange>, _ view: ResponseView) {
    guard exchange.pointee.endpoint >= 0 else { return }
    endpoints[Int(exchange.pointee.endpoint)]
      .refused(retryAfter: retryAfter(view), at: reactor.now)
  }

  /// What the first Retry-After says, `nil` where that is nothing.
  private func retryAfter(_ view: ResponseView) -> Nanoseconds? {
    for index in 0..<Int(view.head.fieldCount) where view.fields[index].known == .retryAfter {
      let field = view.fields[index]
      return RetryAfter.read(
        view.bytes + Int(field.valueStart),
        Int(field.valueLength),
        wallClock: date.wallClock(at: reactor.now)
      )
    }
    return nil
  }
}
