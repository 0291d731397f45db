/// A record of an SRV answer.
///
/// Source: RFC 2782, "A DNS RR for specifying the location of services".
public struct ServiceRecord: Sendable, Hashable {
  /// In lower case, without the last dot; empty where the service is said not to be had.
  public var target: String
  public var port: UInt16
  /// Those of the lowest number are asked first.
  public var priority: UInt16
  /// Share among those of the same priority; 0 for hardly any where others have more.
  public var weight: UInt16

  public init(target: String, port: UInt16, priority: UInt16 = 0, weight: UInt16 = 0) {
    self.target = target
    self.port = port
    self.priority = priority
    self.weight = weight
  }

  /// Weights and priorities that endpoints may have.
  private static let heaviest = 1_000
  private static let lastPriority = 7

  /// The endpoints that records stand for, each once, in an order of their own.
  ///
  /// Priorities become ranks, and all beyond the eighth share the last one. Weights stay what they
  /// are as far as they fit; where they do not, or some are 0 and others are not, they are measured
  /// so that the greatest of a priority is 1,000.
  ///
  /// - Parameters:
  ///   - records: An answer.
  ///   - port: A port in place of those of the records.
  /// - Returns: Nothing where no record names somebody.
  public static func endpoints(
    _ records: [ServiceRecord],
    port: UInt16? = nil
  ) -> [ListedEndpoint] {
    let usable = records.filter { !$0.target.isEmpty && (port ?? $0.port) > 0 }
    let priorities = Set(usable.map(\.priority)).sorted()
    var seen = Set<ListedEndpoint.Address>()
    var endpoints: [ListedEndpoint] = []
    for (rank, priority) in priorities.enumerated() {
      let group = usable.filter { $0.priority == priority }
        .sorted { ($0.target, $0.port, $1.weight) < ($1.target, $1.port, $0.weight) }
      let most = Int(group.map(\.weight).max() ?? 0)
      let isMixed = most > 0 && group.contains { $0.weight == 0 }
      for record in group {
        let address = ListedEndpoint.Address.host(record.target, port: port ?? record.port)
        guard seen.insert(address).inserted else { continue }
        var weight = Int(record.weight)
        if isMixed || most > heaviest { weight = weight * heaviest / most }
        endpoints.append(
          ListedEndpoint(address, weight: max(1, weight), priority: min(rank, lastPriority))
        )
      }
    }
    return endpoints
  }
}
