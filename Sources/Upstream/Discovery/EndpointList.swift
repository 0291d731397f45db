/// An endpoint as a source of discovery lists it.
public struct ListedEndpoint: Sendable, Hashable {
  public enum Address: Sendable, Hashable {
    /// An IP address or a name to resolve.
    case host(String, port: UInt16)
    case unix(String)
  }

  public var address: Address
  /// 1 to 1,000.
  public var weight: Int
  /// 0, asked first, to 7.
  public var priority: Int
  /// Where it runs, as the source calls it; at most 128 bytes, `nil` where it does not say.
  public var zone: String?

  public init(_ address: Address, weight: Int = 1, priority: Int = 0, zone: String? = nil) {
    self.address = address
    self.weight = weight
    self.priority = priority
    self.zone = zone
  }
}

/// Why a source's word is not taken.
public enum DiscoveryFailure: Int, Sendable, CaseIterable {
  /// It does not answer, or cannot be read.
  case unavailable
  /// What it says makes no sense.
  case invalid
  /// It lists nobody.
  case empty
  /// It lists more than there is room for.
  case tooMany

  public var label: String {
    switch self {
    case .unavailable: "unavailable"
    case .invalid: "invalid"
    case .empty: "empty"
    case .tooMany: "too-many"
    }
  }
}

/// What a source of endpoints said last, and what is held on to while it says nothing of use.
///
/// ```
///        a list: taken                a list: taken
/// unheard ──────────────▶ up ◀──────────────────────── down
///    └──────── failure ────┴────────── failure ──────────▲
/// ```
///
/// The last good list outlives every failure, and an empty one is a failure: a registry that was
/// emptied by mistake, or lost its data, is no reason to serve nobody. A service that shall have no
/// endpoint is taken out of the configuration.
public struct EndpointList: Sendable {
  /// What a list changed.
  public struct Change: Sendable, Equatable {
    public var added = 0
    public var removed = 0
    /// Those that stay with another weight, priority or zone.
    public var changed = 0

    public init(added: Int = 0, removed: Int = 0, changed: Int = 0) {
      self.added = added
      self.removed = removed
      self.changed = changed
    }
  }

  /// Entries of a list that is taken that are of no use.
  public struct Remark: Sendable, Equatable {
    public var count: Int
    /// Which one is the first and what is wrong with it, for people.
    public var words: String

    public init(count: Int, words: String) {
      self.count = count
      self.words = words
    }
  }

  public enum Outcome: Sendable, Equatable {
    case changed(Change)
    /// `hasRecovered`: It was not taken the last time.
    case unchanged(hasRecovered: Bool)
    /// `isNews`: It was not the same failure the last time.
    case refused(isNews: Bool)
  }

  /// The last good list, each address once.
  public private(set) var endpoints: [ListedEndpoint]
  /// Seconds since 1970 at which a list was taken last, changed or not; 0 before the first.
  public private(set) var heardAt: Int64 = 0
  /// Lists that differed from the one before.
  public private(set) var changes: UInt64 = 0
  /// What is wrong at present, for people; `nil` where the last word was a good list.
  public private(set) var problem: String?
  /// What of the last good list is left out, `nil` for nothing.
  public private(set) var remark: Remark?
  /// Whether a list of the source was ever taken.
  public private(set) var hasHeard = false
  private var failure: DiscoveryFailure?
  private var failures = [UInt64](repeating: 0, count: DiscoveryFailure.allCases.count)

  /// - Parameters:
  ///   - before: What to hold on to until the first list.
  ///   - heardAt: When another process heard that, in seconds since 1970; 0 where none did.
  public init(before: [ListedEndpoint] = [], heardAt: Int64 = 0) {
    endpoints = before
    self.heardAt = heardAt
  }

  /// Whether the last word of the source was a list that was taken.
  public var isUp: Bool { hasHeard && failure == nil }

  /// Failures of a kind; one that lasts counts once.
  public func count(_ failure: DiscoveryFailure) -> UInt64 { failures[failure.rawValue] }

  /// Takes a list, unless it is empty.
  ///
  /// - Parameters:
  ///   - list: Whatever came; of addresses listed twice the first one counts.
  ///   - now: Seconds since 1970.
  ///   - remark: What the source left out of it.
  /// - Returns: What it changed.
  public mutating func hear(
    _ list: [ListedEndpoint],
    at now: Int64,
    remark: Remark? = nil
  ) -> Outcome {
    guard !list.isEmpty else { return fail(.empty, "lists no endpoint; the last list is kept") }
    var seen = Set<ListedEndpoint.Address>()
    let list = list.filter { seen.insert($0.address).inserted }
    let hasRecovered = failure != nil
    failure = nil
    problem = nil
    self.remark = remark
    heardAt = max(1, now)
    hasHeard = true
    let change = Self.difference(endpoints, list)
    // Another order is no other list.
    guard change != Change() else { return .unchanged(hasRecovered: hasRecovered) }
    endpoints = list
    changes += 1
    return .changed(change)
  }

  /// Notes that there was no list to take; the last one stands.
  public mutating func fail(_ failure: DiscoveryFailure, _ problem: String) -> Outcome {
    guard self.failure != failure || self.problem != problem else {
      return .refused(isNews: false)
    }
    self.failure = failure
    self.problem = problem
    failures[failure.rawValue] += 1
    return .refused(isNews: true)
  }

  private static func difference(
    _ before: [ListedEndpoint],
    _ after: [ListedEndpoint]
  ) -> Change {
    let known = Dictionary(before.map { ($0.address, $0) }) { first, _ in first }
    var change = Change()
    var kept = 0
    for endpoint in after {
      guard let old = known[endpoint.address] else {
        change.added += 1
        continue
      }
      kept += 1
      if old != endpoint { change.changed += 1 }
    }
    change.removed = known.count - kept
    return change
  }
}
