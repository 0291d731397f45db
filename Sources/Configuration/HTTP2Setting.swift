public import Units

/// How a listener speaks HTTP/2, over TLS as in cleartext.
public struct HTTP2Setting: Sendable, Equatable {
  /// How often a client may do something: at once, and in the long run.
  public struct Budget: Sendable, Equatable {
    /// The most that is saved up, in `1...1_000_000`.
    public var burst: Int
    /// What comes back in a second, in `0...1_000_000`.
    public var perSecond: Int

    public init(burst: Int, perSecond: Int) {
      self.burst = burst
      self.perSecond = perSecond
    }
  }

  /// Streams a client may have open at once, in `1...1_000`.
  public var maximumStreams = 100
  /// Bytes of one request body that may be under way unread, in `65_535...2^24`.
  public var window = 65_536
  /// Bytes of all request bodies of a connection that may be under way unread, in
  /// `window...2^30`.
  public var connectionWindow = 1_048_576
  /// Time for a client to acknowledge our SETTINGS: 10 s, as nghttp2's proxy has it.
  public var settingsTimeout = Nanoseconds.seconds(10)
  /// Silence of a client that waits for an answer, before it is asked whether it is there: 30 s.
  public var pingInterval = Nanoseconds.seconds(30)
  /// Time for it to say so: 10 s.
  public var pingTimeout = Nanoseconds.seconds(10)

  /// Streams reset by the client: nghttp2's own figures.
  public var resets = Budget(burst: 1_000, perSecond: 33)
  /// Streams that we had to reset for what the client did.
  public var provokedResets = Budget(burst: 200, perSecond: 10)
  /// Fields beyond 40 of a request, and all of one that is too large.
  public var fields = Budget(burst: 10_000, perSecond: 1_000)
  public var pings = Budget(burst: 500, perSecond: 20)
  public var settings = Budget(burst: 50, perSecond: 1)
  /// PRIORITY and PRIORITY_UPDATE.
  public var priorities = Budget(burst: 500, perSecond: 20)
  /// Frames that carry nothing.
  public var emptyFrames = Budget(burst: 100, perSecond: 5)
  /// DATA of less than nine bytes.
  public var tinyFrames = Budget(burst: 10_000, perSecond: 2_000)
  public var windowUpdates = Budget(burst: 1_000, perSecond: 100)
  /// Frames of a type that nobody defined, and GOAWAY.
  public var unknownFrames = Budget(burst: 200, perSecond: 10)

  public init() {}

  /// The budgets that stand under `budgets`, by name; resets have fields of their own.
  static var budgets: [(name: String, path: WritableKeyPath<HTTP2Setting, Budget>)] {
    [
      ("provokedResets", \.provokedResets), ("fields", \.fields), ("pings", \.pings),
      ("settings", \.settings), ("priorities", \.priorities), ("emptyFrames", \.emptyFrames),
      ("tinyFrames", \.tinyFrames), ("windowUpdates", \.windowUpdates),
      ("unknownFrames", \.unknownFrames),
    ]
  }
}
