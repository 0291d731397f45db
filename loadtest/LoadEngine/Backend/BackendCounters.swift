/// What the simulated service did, to be compared with what its clients saw.
struct BackendCounters {
  /// Whole requests that came in.
  ///
  /// Each ends in exactly one of the following, or is still inside.
  var received: UInt64 = 0
  /// Answered with 200.
  var served: UInt64 = 0
  /// Answered with 503: the backlog was full, or as the faults say.
  var refused: UInt64 = 0
  /// Answered with 500, as the faults say.
  var failed: UInt64 = 0
  /// Reset in place of an answer, as the faults say, or because the service was killed.
  var reset: UInt64 = 0
  /// Never answered, as the faults say.
  var hung: UInt64 = 0
  /// Closed without an answer, as the faults say.
  var dropped: UInt64 = 0
  /// The client left before its answer.
  var abandoned: UInt64 = 0
  /// Of these: worked on to the end all the same.
  var wasted: UInt64 = 0
  /// Of those received: in the first second after the service came back the last time.
  var firstSecond: UInt64 = 0
  /// Requests that are no HTTP.
  var malformed: UInt64 = 0
  var connections: UInt64 = 0
  /// Served, by the places of the routes; the last is for requests of no route.
  var servedByRoute: [UInt64]

  init(routes: Int) { servedByRoute = Array(repeating: 0, count: routes + 1) }

  /// Name and value of each, in order.
  var named: [(name: String, value: UInt64)] {
    [
      ("received", received), ("served", served), ("refused", refused), ("failed", failed),
      ("reset", reset), ("hung", hung), ("dropped", dropped), ("abandoned", abandoned),
      ("wasted", wasted),
      ("first_second", firstSecond), ("malformed", malformed), ("connections", connections),
    ]
  }
}
