internal import Configuration
internal import Reactor
internal import Upstream

/// How many addresses services whose endpoints are discovered may have in a snapshot.
///
/// What a source lists is bounded where it is heard, but each name of it may stand for 64 addresses,
/// so whoever answers for the names could fill the directory of endpoints, and then nothing of any
/// service could be published any more. What is beyond is left out and counted; when all together
/// want too much, those that want most give way, down to the same for each.
struct DiscoveredRoom {
  /// Addresses of one service.
  static let perService = EndpointFile.maximumEndpoints
  /// Addresses of all of them: the rest of the directory is for services that list their own, and
  /// for endpoints that old snapshots still hold.
  static let together = EndpointDirectory.capacity / 2

  /// Addresses of a service now, at least 1.
  let share: Int
  private var admitted: [String: Set<String>] = [:]
  private var refused: [String: Set<String>] = [:]

  /// - Parameters:
  ///   - settings: In which services have the endpoints that they are served with.
  ///   - addresses: What each endpoint stands for now.
  init(
    _ settings: Settings,
    _ addresses: (ServiceSetting.Endpoint) -> [KernelAddress]
  ) {
    let services = settings.services.filter { $0.discovery != nil }
    let most = services.reduce(0) { $0 + $1.endpoints.count } * NameResolver.maximumAddresses
    // In the usual case nothing needs to be counted.
    guard most > Self.together else {
      share = Self.perService
      return
    }
    share = Self.share(services.map { $0.endpoints.reduce(0) { $0 + addresses($1).count } })
  }

  /// The greatest share with which no more than `together` are taken.
  static func share(_ wanted: [Int]) -> Int {
    var left = together
    var others = wanted.count
    for want in wanted.map({ min($0, perService) }).sorted() {
      // All that are left want this much or more.
      guard want * others <= left else { return max(1, left / others) }
      left -= want
      others -= 1
    }
    return perService
  }

  /// Whether an address of a service is taken; one that was is again, in the parts by port as well.
  mutating func admits(_ address: String, of service: ServiceSetting) -> Bool {
    guard service.discovery != nil else { return true }
    if admitted[service.name]?.contains(address) == true { return true }
    guard admitted[service.name]?.count ?? 0 < share else {
      refused[service.name, default: []].insert(address)
      return false
    }
    admitted[service.name, default: []].insert(address)
    return true
  }

  /// An address that was admitted found no place in the directory.
  mutating func leaveOut(_ address: String, of service: ServiceSetting) {
    admitted[service.name]?.remove(address)
    refused[service.name, default: []].insert(address)
  }

  /// Addresses that were left out, by service, where there are some.
  var leftOut: [String: Int] { refused.mapValues(\.count) }
}
