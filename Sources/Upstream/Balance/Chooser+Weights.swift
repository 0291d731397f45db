internal import Units

/// Weights, written or reported, and what is hot.
extension Chooser {
  /// Works out the weights that follow from what endpoints of the tier report.
  func weigh(_ view: inout ChoiceView) {
    view.mostWeight = 0
    guard policy.pointee.hasReports, table.tierCount > 0 else { return }
    let settings = policy.pointee.reports
    let tier = table.tiers[Int(view.tier)]
    var weights = ReportedWeights()
    for offset in 0..<tier.count {
      let place = table.places[tier.first + offset]
      let load = health.load(place)
      let utilization = load.utilization(at: now, settings)
      states[Int(place)].reportedUtilization = utilization.map { Float($0) } ?? -1
      weights.add(load.weight(at: now, settings))
    }
    guard settings.usesWeights, weights.areOfUse else { return }
    for offset in 0..<tier.count {
      let place = table.places[tier.first + offset]
      let weight = weights.scaled(health.load(place).weight(at: now, settings))
      states[Int(place)].reportedWeight = weight
      // Those who get nothing would make each draw a long one.
      if view.isPanic || isHealthy(place, knowsUp: view.knowsUp) {
        view.mostWeight = max(view.mostWeight, weight)
      }
    }
  }

  /// The reported weight of one that is chosen from.
  private func weight(_ turn: Turn, _ offset: Int) -> Int32 {
    min(max(1, states[Int(place(turn, offset))].reportedWeight), turn.mostWeight)
  }

  /// Requests in flight for its weight.
  func load(_ turn: Turn, _ offset: Int) -> Double {
    let inFlight = Double(states[Int(place(turn, offset))].inFlight)
    guard turn.mostWeight == 0 else {
      return inFlight * Double(ReportedWeights.usual) / Double(weight(turn, offset))
    }
    return inFlight / table.weights[turn.tier.pointee.first + offset]
  }

  /// A draw that favours the heavy.
  func drawn(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int {
    if turn.mostWeight > 0 { return drawnByReports(turn, &random) }
    guard let sums = turn.tier.pointee.sums else { return turn.offset(draw(turn.turns, &random)) }
    let value = Self.unit(random.next()) * turn.tier.pointee.totalWeight
    return WeightedDraw.offset(value, sums, turn.count)
  }

  /// Weights that change all the while have no sums to look up: one is drawn as any other, and kept by
  /// its share of the greatest weight, which is ten times the mean at most.
  private func drawnByReports(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int {
    var offset = 0
    for _ in 0..<Self.mostDraws {
      let value = random.next()
      offset = Int(((value >> 32) &* UInt64(turn.count)) >> 32)
      let share = ((value & 0xFFFF_FFFF) &* UInt64(turn.mostWeight)) >> 32
      if Int64(share) < Int64(weight(turn, offset)) { break }
    }
    return offset
  }

  /// A round in which each has as many turns as its share of the greatest weight, spread over it.
  ///
  /// Source: gRPC's static stride scheduler. It needs no order made beforehand, so weights may be other
  /// ones with each choice.
  func strideRound(
    _ turn: Turn,
    _ cursor: inout UInt32,
    _ random: inout some RandomNumberGenerator
  ) -> Int {
    let most = UInt64(turn.mostWeight)
    let count = UInt64(turn.count)
    // In each generation the heaviest has a turn, and others have some.
    for _ in 0..<max(Self.mostDraws, 2 * turn.count) {
      let sequence = UInt64(cursor)
      cursor &+= 1
      let offset = Int(sequence % count)
      let weight = UInt64(weight(turn, offset))
      let step = (weight &* (sequence / count) &+ UInt64(offset) &* (most / 2)) % most
      guard step >= most - weight else { continue }
      let place = place(turn, offset)
      if isUsable(place, turn), takes(place, turn, &random) { return offset }
    }
    return -1
  }

  // MARK: - Hot and cold

  /// Whether one is better than another one by what both report: of two that are cold the quicker
  /// one, of two that are hot the one with fewer in flight, else the cold one.
  ///
  /// What is in flight says how busy an endpoint will be, latency how busy it was: only where nobody
  /// has much to do is it safe to go by the latter alone.
  ///
  /// Source: Wydrowski et al., "Load is not what you should balance: Introducing Prequal", NSDI 2024.
  ///
  /// - Returns: `nil` where one of them reports nothing, or is penalised.
  func isCooler(_ a: Int, _ b: Int, _ turn: Turn, _ view: inout ChoiceView) -> Bool? {
    let (x, y) = (states + Int(place(turn, a)), states + Int(place(turn, b)))
    guard x.pointee.reportedUtilization >= 0, y.pointee.reportedUtilization >= 0 else { return nil }
    guard x.pointee.penalisedUntil <= now, y.pointee.penalisedUntil <= now else { return nil }
    let (loadA, loadB) = (Float(load(turn, a)), Float(load(turn, b)))
    let quantile = Float(policy.pointee.reports.hotQuantile)
    let isHotA = Self.isHot(loadA, x.pointee.reportedUtilization, view.hotThreshold, quantile)
    let isHotB = Self.isHot(loadB, y.pointee.reportedUtilization, view.hotThreshold, quantile)
    view.hotThreshold = Self.hotThreshold(view.hotThreshold, after: loadA, quantile: quantile)
    view.hotThreshold = Self.hotThreshold(view.hotThreshold, after: loadB, quantile: quantile)
    guard isHotA == isHotB else { return isHotB }
    if isHotA, loadA != loadB { return loadA < loadB }
    return x.pointee.latency.value(at: now) < y.pointee.latency.value(at: now)
  }

  private static func isHot(
    _ load: Float,
    _ utilization: Float,
    _ threshold: Float,
    _ quantile: Float
  ) -> Bool {
    // One that has all it can do by its own word is hot whatever is in flight from here.
    if quantile < 1, utilization >= 1 { return true }
    return quantile <= 0 || quantile < 1 && load > threshold
  }

  /// The threshold from which an endpoint is hot, after one more sample of what is in flight.
  ///
  /// It comes to rest where `quantile` of the samples lie below it. A step is a fiftieth, so that it follows a load that doubles within a hundred choices.
  /// Source: Robbins and Monro, "A Stochastic Approximation Method", 1951.
  public static func hotThreshold(
    _ threshold: Float,
    after load: Float,
    quantile: Float
  ) -> Float {
    let step = 0.02 * max(1, threshold)
    return max(0, threshold + step * (load > threshold ? quantile : quantile - 1))
  }
}
