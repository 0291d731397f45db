/// The field by which callers name the class of a request, and services are told it.
public struct ClassHeaderSetting: Sendable, Equatable {
  /// Whose word counts.
  public enum Trust: String, Sendable, CaseIterable {
    /// Peers in `trustedProxies` of the listener.
    case trustedProxies = "trusted-proxies"
    case nobody
  }

  /// In lower case, as HTTP/2 has it.
  public var name = "x-criticality"
  public var trustedFrom = Trust.trustedProxies

  public init() {}
}
