internal import HTTPCodec
internal import Upstream

/// What an exchange owes the breakers and the outlier detection of its service.
struct AttemptHealth: BitwiseCopyable {
  /// Somebody waits for the outcome of the present attempt.
  var isWatched = false
  var service = BreakerTicket.none
  var endpoint = BreakerTicket.none
  /// How it came by while health checks find nobody.
  var outage = OutagePassage.none
  /// What came of it so far; a response may still break.
  var outcome: AttemptOutcome?
  /// What the request is told apart by, 0 for nothing.
  var key: UInt64 = 0
}

/// How an exchange came by the outage of its service.
enum OutagePassage: UInt8, BitwiseCopyable {
  /// It was not asked, or was told already what came of it.
  case none
  case passed
  /// What comes of it decides whether the checks are believed.
  case probe
}

extension AttemptOutcome {
  /// The outcome of a response head, as `PermitOutcome` sees a call of gRPC.
  init(_ view: ResponseView, isRefusal: Bool) {
    self.init(status: view.head.status)
    // Which of the two statuses of overload it is makes no difference to who counts either.
    if self == .success, isRefusal { self = .gatewayError }
  }
}

extension ReplyReason {
  /// What an attempt that ended in a reply of ours says about its endpoint and its service; `nil`
  /// for what is our doing or the client's.
  var attemptOutcome: AttemptOutcome? {
    switch self {
    case .connectFailed, .connectTimeout, .upstreamTLSFailed, .upstreamTLSRefused,
      .upstreamCertificate, .upstreamNoHTTP2:
      .connectFailure
    case .upstreamReset, .upstreamMalformed: .reset
    case .upstreamTimeout, .perTryTimeout: .timeout
    case .upstreamRefused: .gatewayError
    default: nil
    }
  }
}
