internal import Units

/// The most requests in flight in each of the last ten seconds.
struct InFlightPeaks: Sendable {
  private static let seconds = 10
  private var peaks: InlineArray<10, Double>
  private var index = 0
  private var next = Instant(.min)

  /// - Parameter before: What counts for the seconds that nobody saw.
  init(before: Double = 0) { peaks = InlineArray(repeating: before) }

  mutating func add(_ inFlight: Double) { peaks[index] = max(peaks[index], inFlight) }

  mutating func advance(to now: Instant, inFlight: Double) {
    guard now >= next else { return }
    next = now + .seconds(1)
    index = (index + 1) % Self.seconds
    peaks[index] = inFlight
  }

  var most: Double {
    var most = 0.0
    for index in peaks.indices { most = max(most, peaks[index]) }
    return most
  }
}
