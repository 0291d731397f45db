internal import Upstream

/// What became of a failure that its route has repeated.
enum RetryOutcome: UInt8, CaseIterable {
  /// The retry was answered, with what no condition names.
  case succeeded
  /// The retry failed as well.
  case failed
  /// Its client left, or its time ended, before it went out or was answered.
  case left
  /// Admission had no place for it.
  case shed
  /// The request had as many as its route allows.
  case limit
  /// The method is not idempotent and there is no Idempotency-Key.
  case notIdempotent
  /// More of the body was sent than is kept.
  case bodyNotKept
  /// The client has an interim response already.
  case begun
  /// The service said that it is of no use.
  case told
  /// It could not go out before the deadline.
  case deadline
  /// The service is limited or has a queue.
  case limited
  /// The budget is used up.
  case budget

  /// The value of the label `outcome`.
  var label: String {
    switch self {
    case .succeeded: "succeeded"
    case .failed: "failed"
    case .left: "left"
    case .shed: "shed"
    case .limit: "retry-limit"
    case .notIdempotent: "not-idempotent"
    case .bodyNotKept: "body-not-kept"
    case .begun: "response-begun"
    case .told: "told-not-to"
    case .deadline: "deadline"
    case .limited: "service-limited"
    case .budget: "budget-exhausted"
    }
  }
}

extension ReplyReason {
  /// What a failure means to those who would repeat the request; `nil` where that is of no use.
  var retryCause: RetryCause? {
    switch self {
    case .connectFailed, .connectTimeout, .upstreamTLSFailed, .upstreamTLSRefused: .connectFailure
    case .upstreamReset: .reset
    case .perTryTimeout: .timeout
    case .upstreamRefused: .refusedStream
    case .upstreamMalformed: .malformed
    default: nil
    }
  }
}
