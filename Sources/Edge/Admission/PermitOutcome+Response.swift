internal import Admission
internal import HTTPCodec

/// What a response, or the lack of one, says about the capacity of a service.
extension PermitOutcome {
  /// The outcome of a response head.
  ///
  /// 503 and 429 say that the service lacked capacity, and so do gRPC's RESOURCE_EXHAUSTED and
  /// UNAVAILABLE where the head carries them. Other 5xx say nothing: a fault that fails fast must not
  /// move the limit.
  init(_ view: ResponseView) {
    switch view.head.status {
    case 429, 503: self = .dropped
    case 500...: self = .ignored
    default: self = [8, 14].contains(view.callStatus) ? .dropped : .served
    }
  }
}

extension ReplyReason {
  /// What an attempt that ended in a reply of ours says about the service's capacity.
  var permitOutcome: PermitOutcome {
    switch self {
    case .connectFailed, .connectTimeout, .upstreamReset, .upstreamTimeout, .perTryTimeout,
      .upstreamRefused, .upstreamTLSFailed:
      .dropped
    default: .ignored
    }
  }

  /// The reply of a refusal.
  init(_ reason: RefusalReason) {
    switch reason {
    case .queueFull: self = .shedQueueFull
    case .standingClass: self = .shedClass
    case .deadline: self = .shedDeadline
    case .evicted: self = .shedEvicted
    case .timedOut: self = .shedQueueTimeout
    case .edgeOverload: self = .shedEdgeOverload
    case .openStreams: self = .shedOpenStreams
    }
  }

  /// Whether it is known when it is worth trying again.
  var statesRetry: Bool { isShed || self == .breakerOpen || self == .noHealthyEndpoint }

  /// Whether the edge refused to spare the service.
  var isShed: Bool {
    switch self {
    case .shedQueueFull, .shedClass, .shedDeadline, .shedEvicted, .shedQueueTimeout,
      .shedEdgeOverload, .shedOpenStreams:
      true
    default: false
    }
  }
}
