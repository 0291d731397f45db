/// How a service's requests are admitted, queued and shed.
///
/// Nothing of it needs setting: the limit is learned from latency.
public struct AdmissionSetting: Sendable, Hashable {
  public enum Mode: String, Sendable, CaseIterable {
    /// Nothing is decided, and nothing is learned.
    case off
    /// All is decided, counted and learned; nobody is refused or made to wait.
    case shadow
    case enforce
  }

  /// The rule that learns how many requests may be in flight.
  public enum Limit: String, Sendable, CaseIterable {
    case latencyGradient = "latency-gradient"
    case gradient2
    case vegas
    case aimd
    case fixed
  }

  /// A service that does not say otherwise is protected: an edge that has to be told to shed would
  /// not be told before its first overload.
  public var mode = Mode.enforce
  public var limit = Limit.latencyGradient
  /// Requests in flight, for `Limit.fixed` alone.
  public var inFlight = 100
  /// Bounds of the limit, whatever the rule says.
  public var minimum = 1
  public var maximum = AdmissionSetting.largestLimit
  /// Most requests that each worker queues; as a rule far fewer may wait.
  public var queueCapacity = 4_096
  /// Most streams that outlast their permits; `nil` is `ServiceSetting.openStreams`.
  public var openStreams: Int?

  /// The count of requests in flight has 21 bits.
  public static let largestLimit = 1 << 20

  public init() {}
}
