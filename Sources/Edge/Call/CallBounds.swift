internal import HTTPCodec

/// What bounds the edge's own calls to services.
enum CallBounds {
  /// Calls under way where the process has descriptors enough; each takes two, and one to the service.
  static let most = 1_024
  /// One call for so many descriptors that the process may have.
  private static let descriptorsEach = 20
  /// The head of a request or an answer.
  static let head = HeadLimits(
    maximumBytes: HeadLimits.largestHead,
    maximumFields: HeadLimits.mostFields,
    maximumTarget: HeadLimits.largestHead
  )
  /// Bytes read in one `advance`, so that other calls of the thread have their turn.
  static let readOnce = 262_144

  /// Calls under way in a process that may have so many descriptors.
  static func calls(descriptors: Int) -> Int {
    max(1, min(most, descriptors / descriptorsEach))
  }
}
