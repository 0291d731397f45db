internal import Units

/// Sizes of a service's admission, fixed for its life.
public struct ServiceSettings: Sendable {
  /// Workers that share the service, in `1...64`.
  public var workers: Int
  /// Routes that lead to it, at least 1; each has a weight that is learned.
  public var routes: Int
  /// Priority classes, in `1...PriorityClasses.maximum`.
  public var classes: Int
  /// Entries of each worker's queue, about 100 bytes each once it was used.
  public var queueCapacity: Int
  /// Bounds of the limit, whatever the rule that learns it says.
  public var limits: ClosedRange<Int>
  /// Of the hash that tells tenants apart; callers must not be able to guess it.
  public var tenantSeed: UInt64

  /// Nothing when a size is out of range.
  public init?(
    workers: Int,
    routes: Int = 1,
    classes: Int = 4,
    queueCapacity: Int = 4_096,
    limits: ClosedRange<Int> = 1...Bounds.limit,
    tenantSeed: UInt64 = 0
  ) {
    guard (1...64).contains(workers), (1...65_536).contains(routes),
      (1...PriorityClasses.maximum).contains(classes),
      (1...65_535).contains(queueCapacity), limits.lowerBound >= 1,
      limits.upperBound <= Bounds.limit, workers * queueCapacity <= Gate.maximumWaiting
    else { return nil }
    self.workers = workers
    self.routes = routes
    self.classes = classes
    self.queueCapacity = queueCapacity
    self.limits = limits
    self.tenantSeed = tenantSeed
  }
}

/// What a service's admission has learned at one moment.
public struct ServiceInspection: Sendable {
  public var guidance: LimitGuidance
  /// Nothing for limits that keep nothing worth saving.
  public var learned: LearnedLimit?
  /// Weights of routes by place, 0 where nothing is known.
  public var weights: [Double]
}

/// How long a request may be queued, by class.
enum QueueTimeout {
  /// While the class's queue empties now and then.
  static func calm(_ priority: Int) -> Nanoseconds { .milliseconds(priority == 0 ? 400 : 300) }

  /// While the limit may still double: a quarter of the time that its caller has, within bounds.
  ///
  /// A service that takes long and has plenty left needs some rounds until the limit is found. More
  /// than a quarter would leave too little for the service itself.
  static func growing(_ left: Nanoseconds) -> Nanoseconds {
    min(max(Nanoseconds(left.rawValue / 4), shortestGrowing), longest)
  }

  private static let shortestGrowing = Nanoseconds.milliseconds(300)

  /// The longest of all.
  static let longest = Nanoseconds.seconds(1)

  /// While it stands: what waited longer than this is served too late too often.
  static func standing(_ priority: Int) -> Nanoseconds {
    switch priority {
    case 0: .milliseconds(400)
    case 1: .milliseconds(100)
    case 2: .milliseconds(75)
    default: .milliseconds(50)
    }
  }
}
