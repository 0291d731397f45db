/// The settings of one session.
public struct H2Settings: Sendable, BitwiseCopyable {
  /// Streams a client may have open at once, in `1...1_000` (RFC 9113 section 5.1.2).
  public let maximumStreams: Int
  /// Bytes of one stream that may be under way unconsumed, in `65_535...2^24`.
  public let streamWindow: Int
  /// Bytes of all streams that may be under way unconsumed, in `65_535...2^30`.
  public let connectionWindow: Int
  /// Bounds for heads and trailers; `maximumBytes` is announced as SETTINGS_MAX_HEADER_LIST_SIZE.
  public let limits: HeadLimits
  /// CONTINUATION frames of one field section, in `0...64`.
  public let maximumContinuations: Int
  /// Frames that may wait to be sent before the peer counts as not reading, in `16...100_000`.
  public let maximumQueued: Int
  /// Whether CONNECT is taken (RFC 9113 section 8.5).
  public let allowsConnect: Bool
  /// Whether extended CONNECT is announced and taken (RFC 8441).
  public let allowsExtendedConnect: Bool
  /// Budgets against abuse.
  public let abuse: AbuseSettings

  /// Defaults: 100 streams, windows of 64 KiB and 1 MiB as Envoy's edge guide has them; 8
  /// CONTINUATION frames, nghttp2's own bound, hold eight times a head of 16 KiB.
  public init(
    maximumStreams: Int = 100,
    streamWindow: Int = 65_536,
    connectionWindow: Int = 1_048_576,
    limits: HeadLimits = HeadLimits(),
    maximumContinuations: Int = 8,
    maximumQueued: Int = 1_000,
    allowsConnect: Bool = false,
    allowsExtendedConnect: Bool = false,
    abuse: AbuseSettings = AbuseSettings()
  ) {
    precondition((1...1_000).contains(maximumStreams), "unvalidated settings")
    precondition((65_535...1 << 24).contains(streamWindow), "unvalidated settings")
    precondition((65_535...1 << 30).contains(connectionWindow), "unvalidated settings")
    precondition((0...64).contains(maximumContinuations), "unvalidated settings")
    precondition((16...100_000).contains(maximumQueued), "unvalidated settings")
    self.maximumStreams = maximumStreams
    self.streamWindow = streamWindow
    self.connectionWindow = connectionWindow
    self.limits = limits
    self.maximumContinuations = maximumContinuations
    self.maximumQueued = maximumQueued
    self.allowsConnect = allowsConnect
    self.allowsExtendedConnect = allowsExtendedConnect
    self.abuse = abuse
  }
}
