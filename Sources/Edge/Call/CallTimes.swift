public import Units

/// How long the edge's own calls may take.
public struct CallTimes: Sendable {
  /// For a whole answer.
  public var answer = ServiceRequest.answerTime
  /// For silence of an answer that is read for as long as it lasts.
  public var idle = ServiceRequest.streamIdle
  /// In which a worker has to take a call, and beyond its own time-outs to end it: a worker that gets
  /// none of that done in 5 s stands still.
  public var patience = Nanoseconds.seconds(5)

  public init() {}

  /// When a call of which nothing came for so long is ended though its worker says nothing.
  func longest(isStream: Bool) -> Nanoseconds { (isStream ? idle : answer) + patience }
}
