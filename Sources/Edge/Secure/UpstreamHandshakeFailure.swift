internal import TLS

/// Why a handshake with a service failed: a fault of TLS, or what only the edge knows of.
enum UpstreamHandshakeFailure {
  case fault(TLSFault)
  /// It took longer than a connect may.
  case timeout
  /// The connection broke, or ended without a word.
  case broken
  /// HTTP/2 must be spoken, and the service did not choose it by ALPN.
  case noHTTP2

  static var labels: [String] {
    TLSFault.allCases.map { "\($0.reason)" } + ["timeout", "broken", "no-http2"]
  }

  var place: Int {
    let faults = TLSFault.allCases.count
    return switch self {
    case .fault(let fault): Int(fault.rawValue)
    case .timeout: faults
    case .broken: faults + 1
    case .noHTTP2: faults + 2
    }
  }

  /// What the client is told where no endpoint is left to try.
  var reply: ReplyReason {
    switch self {
    case .timeout: .connectTimeout
    case .broken: .upstreamTLSFailed
    case .noHTTP2: .upstreamNoHTTP2
    case .fault(let fault): fault.reply
    }
  }
}

extension TLSFault {
  fileprivate var reply: ReplyReason {
    switch self {
    case .unknownAuthority, .certificateExpired, .badCertificate, .nameMismatch, .pinMismatch:
      .upstreamCertificate
    case .peerRefusesCertificate, .peerRefusesVersion, .peerRefusesHandshake, .peerAlert:
      .upstreamTLSRefused
    default: .upstreamTLSFailed
    }
  }

  /// The service said that it will not speak with us, rather than that something broke.
  var isRefusal: Bool { reply == .upstreamTLSRefused }
}
