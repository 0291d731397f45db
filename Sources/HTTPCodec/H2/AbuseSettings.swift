/// How often something may happen: at once, and in the long run.
public struct AbuseLimit: Equatable, Sendable, BitwiseCopyable {
  /// The most that is saved up, in `1...1_000_000`.
  public let burst: Int32
  /// What comes back in a second, in `0...1_000_000`.
  public let perSecond: Int32

  public init(burst: Int, perSecond: Int) {
    precondition((1...1_000_000).contains(burst), "unvalidated settings")
    precondition((0...1_000_000).contains(perSecond), "unvalidated settings")
    self.burst = Int32(burst)
    self.perSecond = Int32(perSecond)
  }
}

/// The budgets of one connection.
///
/// A frame costs nghttp2 and us between 0.05 and 1 us, a request that is refused or reset up to 5,
/// so a few thousand are a few milliseconds. The defaults leave room for what browsers, gRPC
/// clients and proxies do in a second, and end everything else within that many frames.
public struct AbuseSettings: Equatable, Sendable, BitwiseCopyable {
  /// RST_STREAM received: nghttp2's own figures.
  public var resets = AbuseLimit(burst: 1_000, perSecond: 33)
  /// RST_STREAM that we send because of what the peer did.
  ///
  /// Honest peers provoke none but a few
  /// refusals when they open streams before they know our SETTINGS.
  public var provokedResets = AbuseLimit(burst: 200, perSecond: 10)
  /// Fields past the bound of a list or behind its first fault, each for four or more
  /// (`AbuseBudget.excessWeight`), those of each list past `AbuseBudget.usualFields`, and bytes of
  /// sections of which nobody is told the fields.
  public var fields = AbuseLimit(burst: 10_000, perSecond: 1_000)
  /// PING.
  ///
  /// gRPC measures the line with one for each burst of data, so data sent earns them.
  public var pings = AbuseLimit(burst: 500, perSecond: 20)
  /// SETTINGS; once is usual.
  public var settings = AbuseLimit(burst: 50, perSecond: 1)
  /// PRIORITY and PRIORITY_UPDATE.
  ///
  /// Browsers send some for each request, which earns them.
  public var priorities = AbuseLimit(burst: 500, perSecond: 20)
  /// Frames that carry nothing; those that end a body are not counted.
  public var emptyFrames = AbuseLimit(burst: 100, perSecond: 5)
  /// DATA frames with fewer bytes than a frame's header has.
  ///
  /// Keystrokes and ticks of a stream are so
  /// small, some thousand a second are not theirs.
  public var tinyFrames = AbuseLimit(burst: 10_000, perSecond: 2_000)
  /// WINDOW_UPDATE; two for each DATA frame sent are usual, and earned by it.
  public var windowUpdates = AbuseLimit(burst: 1_000, perSecond: 100)
  /// Frames of unknown type; browsers send one now and then (RFC 8701).
  public var unknownFrames = AbuseLimit(burst: 200, perSecond: 10)

  /// The defaults.
  public init() {}
}
