/// Second attempts of a route's slow requests.
public struct HedgeSetting: Sendable, Equatable {
  /// The share of requests that are answered sooner than a second attempt goes out.
  ///
  /// The usual one is that of Dean and Barroso, "The Tail at Scale", 2013: it costs one request in
  /// twenty.
  public var percentile = 0.95

  /// Below a half it would be most requests; above, too few have been seen to tell.
  public static let percentiles = 0.5...0.999

  public init() {}
}
