public import Units

/// What admission needs to know of a request.
public struct AdmissionRequest: Sendable, BitwiseCopyable {
  /// The caller's name for it, given back when it leaves the queue.
  public var handle: UInt64
  /// Its class, retries lowered already.
  public var priority: PriorityClass
  /// The number of its tenant; those that have none share 0.
  public var tenant: UInt64
  /// The place of its route among the service's routes; one out of range counts as the last.
  public var route: Int32
  /// When an answer would be of no use any more; `.never` when that is not known.
  public var deadline: Instant

  public init(
    handle: UInt64,
    priority: PriorityClass,
    tenant: UInt64 = 0,
    route: Int32 = 0,
    deadline: Instant = .never
  ) {
    self.handle = handle
    self.priority = priority
    self.tenant = tenant
    self.route = route
    self.deadline = deadline
  }
}
