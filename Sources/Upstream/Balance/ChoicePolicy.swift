public import Units

/// What a service says about the choice of its endpoints, beyond a plain balance.
///
/// Plain memory in a snapshot; a service that says nothing has none.
public struct ChoicePolicy: BitwiseCopyable, Sendable {
  public var balance = Balance.twoChoices
  /// Whether there are breakers, one for the service and one for each endpoint.
  public var hasBreaker = false
  public var breaker = BreakerSettings()
  public var hasOutlier = false
  public var outlier = OutlierSettings()
  /// Whether endpoints are checked, whatever requests come to.
  public var hasChecks = false
  /// Time in which an endpoint that joins others gets its whole share, zero for at once.
  public var slowStart = Nanoseconds.zero
  /// With `ringHash`: how much busier than the mean the owner of a key may be.
  public var loadBound = 1.25
  /// Whether what endpoints report of their load is of use for the choice.
  public var hasReports = false
  public var reports = LoadReportSettings()
  /// Whether those of the edge's own zone are preferred.
  public var hasZones = false
  /// How much more than now the endpoints of a zone can do: as long as the share of them that is
  /// healthy, times this, is 1, nobody leaves the zone.
  public var overprovisioning = 1.4

  public init() {}

  /// Share of healthy endpoints below which a choice is made among all.
  ///
  /// The few that are left would break under what was meant for many.
  /// Source: Envoy's panic threshold.
  public static let panicThreshold = 0.5
}

/// What a worker remembers of a service's choices.
public struct ChoiceView: BitwiseCopyable, Sendable {
  var cursor: UInt32 = 0
  /// Which table that was of: parts of a service by port have one each.
  var source: UInt = 0
  /// The endpoints that are chosen from, by priority, and whether all of them are.
  var tier: Int32 = 0
  public internal(set) var isPanic = false
  /// Whether checks found somebody: who was never checked waits for that then.
  var knowsUp = false
  /// Until when that holds while nothing changes.
  var validUntil = Instant(.min)
  var changes: UInt64 = 0
  /// Requests in flight with all endpoints of the tier, counted once a turn.
  var load: Int = 0
  var loadAt = Instant(.min)
  var loadOf: UInt = 0
  /// The greatest weight that follows from reports, 0 while those of the configuration count.
  var mostWeight: Int32 = 0
  /// In flight, for an endpoint of the usual weight, beyond which one is hot.
  var hotThreshold: Float = 0
  /// Share of the requests that stay in the edge's own zone, below 0 where zones are of no account.
  var localShare: Float = -1
  /// Where a round of the other zones stands.
  var spillCursor: UInt32 = 0
  /// Whether the last choice was an endpoint of the edge's own zone; `nil` where that is of no
  /// account.
  public internal(set) var isLocal: Bool?

  /// `hotThreshold`: Where the search for it begins, at least 0.
  public init(hotThreshold: Float = 0) { self.hotThreshold = hotThreshold }
}
