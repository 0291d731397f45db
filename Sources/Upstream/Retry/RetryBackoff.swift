public import Units

/// How long a retry waits: exponential, with full jitter.
///
/// Clients that failed together come back spread over all of the time, which takes fewer attempts in
/// all than any other jitter. Source: Brooker, "Exponential Backoff and Jitter", AWS Architecture
/// Blog, 2015; the numbers are Envoy's.
public enum RetryBackoff {
  /// The longest wait of the first retry; doubled for each one more.
  public static let first = Nanoseconds.milliseconds(25)
  public static let longest = Nanoseconds.milliseconds(250)

  /// - Parameters:
  ///   - retry: Which retry of its request it is, from 1.
  ///   - random: The caller's.
  /// - Returns: From zero to the longest wait of this retry.
  public static func wait(
    retry: Int,
    using random: inout some RandomNumberGenerator
  ) -> Nanoseconds {
    let doublings = min(max(retry, 1) - 1, 16)
    let most = min(first.rawValue << Int64(doublings), longest.rawValue)
    return Nanoseconds(Int64.random(in: 0...most, using: &random))
  }
}
