internal import Units

/// Streams that outlast their permits: tunnels, event streams, calls of gRPC, and exchanges that wait
/// for their clients.
///
/// How long they last says nothing about capacity, so they hold no permit. They take connections and
/// memory all the same, of the service's as well, and have a bound of their own.
extension WorkerAdmission {
  /// When it may be worth trying again: nobody can tell when a stream ends.
  private static let streamRetry = Nanoseconds.seconds(5)

  /// Whether one more stream may be open; a look that reserves nothing.
  public var hasStreamRoom: Bool {
    mutating get {
      cells.load(ServiceCells.Place.streams) < cells.load(ServiceCells.Place.streamBound)
    }
  }

  /// Counts a stream from now on, until `closeStream`.
  ///
  /// - Parameter isForced: Counts it however many there are.
  /// - Returns: False when as many are open as may be, and it was not counted.
  public mutating func openStream(isForced: Bool = false) -> Bool {
    cells.openStream(isForced: isForced)
  }

  /// A stream that was counted has ended.
  public mutating func closeStream() { cells.closeStream() }

  /// What a stream is told that found no room.
  public mutating func streamRefusal() -> Refusal {
    Refusal(reason: .openStreams, retryAfter: Self.streamRetry)
  }
}
