internal import Units

/// What a service says of its own load.
extension LatencyGradientLimit {
  /// For how long its word counts that no other one follows.
  private static let patience = Nanoseconds.seconds(1)

  /// Hears whether the service has all it can do; the last window that had reports decides.
  mutating func hearReports(_ window: LimitWindow) {
    guard window.reports.count >= 1 else { return }
    let isSaturated = window.reports.weight >= window.reports.count
    saturatedUntil = isSaturated ? window.now + Self.patience : Instant(.min)
  }

  /// Takes back what the limit grew by in a window.
  ///
  /// It only ever keeps the limit from rising, so a service that is wrong about itself keeps what it
  /// has, and loses nothing of it: how far to go down is for latency and drops to say, which nobody
  /// has to report. The baseline is learned as ever. Growth ends with it, once there is a baseline:
  /// the first cohort is what that is learned from.
  mutating func holdBack(to before: Double) {
    // What every service is given before anything is known of it is no growth: a limit that drops took
    // down further would else stay there for as long as the service says that it is full.
    value = min(value, max(before, min(Constants.firstLimit, bounds.upperBound)))
    guard growth.isOn, baseline > 0 else { return }
    growth.isOn = false
    limited.clear()
  }
}
