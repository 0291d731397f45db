public import Units

/// How a service's next endpoint is chosen.
public enum Balance: UInt8, Sendable, BitwiseCopyable {
  /// The better of two taken at random: not silent, not far slower, fewer in flight, then lower latency.
  case twoChoices
  case roundRobin
  /// The one with the fewest in flight of all.
  case leastRequests
  /// The one that a key of the request belongs to, while it is not much busier than the others.
  case ringHash

  /// Pairs that are drawn while both of each are silent: where half of all hang, one of six is.
  static let mostPairs = 4
}

/// The endpoints a request may go to, as places in the worker's table.
public struct Candidates {
  let places: UnsafePointer<Int32>
  let count: Int
  let states: UnsafeMutablePointer<EndpointState>

  public init(
    places: UnsafePointer<Int32>,
    count: Int,
    states: UnsafeMutablePointer<EndpointState>
  ) {
    self.places = places
    self.count = count
    self.states = states
  }

  /// Chooses an endpoint.
  ///
  /// One that rests after failed connects, or that this request tried before, is taken only when
  /// there is no other: a request to a service all of whose endpoints rest still tries one.
  ///
  /// `avoiding`: The place tried before, or -1.
  /// `cursor`: Where round-robin stands, for the service.
  /// Returns: A place, or -1 when there is no endpoint.
  public func choose(
    _ balance: Balance,
    avoiding: Int32,
    at now: Instant,
    cursor: inout UInt32,
    using random: inout SplitMix64
  ) -> Int32 {
    guard count > 1 else { return count == 1 ? places[0] : -1 }
    switch balance {
    // The others need more than is known here: see `Chooser`.
    case .roundRobin, .leastRequests, .ringHash:
      let start = Int(cursor % UInt32(count))
      cursor = UInt32((start + 1) % count)
      return firstUsable(from: start, avoiding: avoiding, at: now)
    case .twoChoices:
      var place: Int32 = -1
      for _ in 0..<Balance.mostPairs {
        let draw = random.next()
        let first = Int(((draw & 0xFFFF_FFFF) * UInt64(count)) >> 32)
        var second = Int(((draw >> 32) * UInt64(count - 1)) >> 32)
        if second >= first { second += 1 }
        place = better(first, second, avoiding: avoiding, at: now)
        guard place >= 0, states[Int(place)].isStuck(at: now) else { break }
      }
      return place
    }
  }

  private func isUsable(_ place: Int32, _ avoiding: Int32, _ now: Instant) -> Bool {
    let state = states + Int(place)
    return place != avoiding && !state.pointee.hasLeft && !state.pointee.isBackedOff(at: now)
  }

  /// Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
  private func better(_ a: Int, _ b: Int, avoiding: Int32, at now: Instant) -> Int32 {
    let (first, second) = (places[a], places[b])
    let firstUsable = isUsable(first, avoiding, now)
    let secondUsable = isUsable(second, avoiding, now)
    guard firstUsable || secondUsable else {
      return self.firstUsable(from: a, avoiding: avoiding, at: now)
    }
    guard firstUsable else { return second }
    guard secondUsable else { return first }
    return states[Int(second)].isBetter(than: states + Int(first), at: now) ? second : first
  }

  private func firstUsable(from start: Int, avoiding: Int32, at now: Instant) -> Int32 {
    for step in 0..<count {
      let place = places[(start + step) % count]
      if isUsable(place, avoiding, now) { return place }
    }
    // All rest: the one whose rest ends first, another than before where there is one, and one that
    // has left only where all have.
    var best: Int32 = -1
    for step in 0..<count {
      let place = places[(start + step) % count]
      guard place != avoiding, !states[Int(place)].isFull else { continue }
      if best < 0 || states[Int(place)].rests(less: states + Int(best)) { best = place }
    }
    if best >= 0 { return best }
    // The one before, rather than one that is full; where all are, whoever asks finds out.
    guard avoiding >= 0, !states[Int(avoiding)].isFull, !states[Int(avoiding)].hasLeft else {
      return places[start]
    }
    return avoiding
  }
}

extension EndpointState {
  /// Whether it is asked before another one where both rest or have left.
  func rests(less other: UnsafeMutablePointer<EndpointState>) -> Bool {
    guard hasLeft == other.pointee.hasLeft else { return !hasLeft }
    return backedOffUntil < other.pointee.backedOffUntil
  }

  /// Whether it is the better one of two: not penalised, not silent, less work ahead where one is far
  /// slower, fewer in flight, a lower latency.
  func isBetter(than other: UnsafeMutablePointer<EndpointState>, at now: Instant) -> Bool {
    if let isPreferred = isPreferred(to: other, at: now) { return isPreferred }
    let (own, others) = (latency.value(at: now), other.pointee.latency.value(at: now))
    let isFar =
      own > Self.farSlower * others && other.pointee.latency.isFresh(at: now)
      || others > Self.farSlower * own && latency.isFresh(at: now)
    if isFar { return own * Double(inFlight + 1) < others * Double(other.pointee.inFlight + 1) }
    if inFlight != other.pointee.inFlight { return inFlight < other.pointee.inFlight }
    return own < others
  }

  /// Whether it is asked rather than another one for what that said, or did not say: penalised, then
  /// silent; `nil` where they are alike.
  func isPreferred(to other: UnsafeMutablePointer<EndpointState>, at now: Instant) -> Bool? {
    let isOtherPenalised = other.pointee.penalisedUntil > now
    guard (penalisedUntil > now) == isOtherPenalised else { return isOtherPenalised }
    let isOtherStuck = other.pointee.isStuck(at: now)
    return isStuck(at: now) == isOtherStuck ? nil : isOtherStuck
  }

  /// Endpoints of one service differ by less as a rule, and by chance.
  private static let farSlower = 4.0
}
