/// The upper bounds of duration histograms.
///
/// The OpenTelemetry advice for `http.server.request.duration`, and five below 5 ms: an edge adds
/// less than a millisecond, which the advice cannot show.
public enum DurationBuckets {
  /// The bounds in nanoseconds, in order, without the infinite one.
  static let nanoseconds: [UInt64] = [
    100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 25_000_000, 50_000_000, 75_000_000,
    100_000_000, 250_000_000, 500_000_000, 750_000_000,
    1_000_000_000, 2_500_000_000, 5_000_000_000, 7_500_000_000, 10_000_000_000,
  ]

  /// The bounds in seconds as both expositions write them; a float always has its point.
  static let labels = [
    "0.0001", "0.00025", "0.0005", "0.001", "0.0025",
    "0.005", "0.01", "0.025", "0.05", "0.075",
    "0.1", "0.25", "0.5", "0.75",
    "1.0", "2.5", "5.0", "7.5", "10.0", "+Inf",
  ]

  /// The sum and every bucket, the infinite one too.
  static let cells = nanoseconds.count + 2
}
