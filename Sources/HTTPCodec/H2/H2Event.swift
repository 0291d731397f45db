/// Something a peer did, of fixed size.
public struct H2Event: BitwiseCopyable {
  /// What happened.
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    /// A request head; see `H2Workspace.request`.
    case request
    /// A request that is over a bound: answer it with `fault.status`, then end it.
    case oversizedRequest
    /// A final response head; see `H2Workspace.response`.
    case response
    /// An interim response head; see `H2Workspace.response`.
    case interim
    /// `count` bytes of a body from `start` in what was given to `receive`. 0 with `isLast`: the
    /// body ended without more.
    case data
    /// A trailer section, which is always the last of its stream; see `H2Workspace.trailers`.
    case trailers
    /// A message was malformed for `fault` and its stream is being reset; for counters only, as
    /// `closed` tells the stream's owner. `stream` is -1 when nobody owns it.
    case malformed
    /// The peer's SETTINGS changed.
    case settings
    /// The peer sent GOAWAY with `code` and last stream `start`; what is behind is closed as refused.
    case goAway
    /// The answer to our PING, with its number in `pong`.
    case pong
  }

  public var kind: Kind
  /// Whether nothing more comes on the stream.
  public var isLast = false
  /// Whether an `oversizedRequest` is HEAD, the answer to which has no body.
  public var isHead = false
  /// Why, for `oversizedRequest` and `malformed`.
  public var fault: H2HeadFault?
  /// The stream, or -1.
  public var stream: Int32 = -1
  /// What the caller attached to the stream, or -1.
  public var token: Int32 = -1
  /// See `kind`.
  public var start: Int32 = 0
  /// See `kind`.
  public var count: Int32 = 0
  /// The code of `goAway`.
  public var code = H2ErrorCode.noError
  /// The number of `pong`.
  public var pong: UInt64 = 0

  init(_ kind: Kind, stream: Int32 = -1) {
    self.kind = kind
    self.stream = stream
  }
}

/// A stream that is gone.
public struct H2Closed: BitwiseCopyable {
  /// The stream's index, which may be given to another stream from now on.
  public var stream: Int32
  /// What the caller attached to it, or -1.
  public var token: Int32
  /// Why; `noError` also when the peer wants no more of a request it has answered.
  public var code: H2ErrorCode
  /// Whether all of the peer's message was received.
  public var isReceived: Bool
  /// Whether all of our message was sent.
  public var isSent: Bool
  /// Whether the peer reset it.
  ///
  /// A stream that is not through, and that neither peer nor caller has reset, was refused for what
  /// the peer sent.
  public var isResetByPeer: Bool
  /// Whether any of our message was sent.
  public var isStarted: Bool
  /// Whether the peer did nothing with the request, because it says so or because nothing was sent;
  /// it may go elsewhere then (RFC 9113 section 8.7).
  public var isUnprocessed: Bool { code == .refusedStream || !isStarted }
}

/// Why a session cannot go on.
public enum H2Failure: Equatable, Sendable, BitwiseCopyable {
  /// What came is not HTTP/2 at all.
  case notHTTP2
  /// The peer broke the protocol; GOAWAY with the code is queued.
  case violation(H2ErrorCode)
  /// The peer overdid it; GOAWAY ENHANCE_YOUR_CALM is queued.
  case abuse(AbuseReason)
  /// The caller waited too long for something; GOAWAY says so.
  case late(H2Wait)
  /// The library gave up: out of memory, or a mistake of ours.
  case broken
}

/// What a session's caller may wait for in vain.
public enum H2Wait: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  /// The acknowledgement of our SETTINGS (RFC 9113 section 6.5.3).
  case settings
  /// The rest of a frame, or of a field section.
  case frame

  /// A name for metrics and logs, in kebab case.
  public var reason: StaticString {
    switch self {
    case .settings: "settings-timeout"
    case .frame: "slow-frame"
    }
  }
}
