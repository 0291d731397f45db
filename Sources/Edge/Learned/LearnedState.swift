internal import Admission
internal import Reactor
internal import Upstream

/// What the limits of services have learned, and who the endpoints are that were discovered, as it
/// outlives a process.
///
/// Services and routes go by their names: places differ from process to process.
struct LearnedState: Equatable, Sendable {
  struct Service: Equatable, Sendable {
    var name: String
    /// The rule that learned it, as configurations name it.
    var kind: String
    /// When something of it was learned last, in seconds since 1970.
    var learnedAt: Int64
    var limit: LearnedLimit
    var routes: [Route] = []
  }

  struct Route: Equatable, Sendable {
    var name: String
    /// Latency over the service's mean, above 0.
    var weight: Double
  }

  /// What a service with a source of endpoints was served with.
  struct List: Equatable, Sendable {
    var service: String
    /// When a list of the source was taken last, in seconds since 1970; 0 for never.
    var heardAt: Int64
    var endpoints: [ListedEndpoint]
  }

  /// What a host name stood for.
  struct Name: Equatable, Sendable {
    /// In lower case.
    var host: String
    var addresses: [IPBytes]
  }

  /// Seconds since 1970.
  var savedAt: Int64
  var services: [Service]
  var lists: [List] = []
  var names: [Name] = []

  /// Whether there is nothing to tell.
  var isEmpty: Bool { services.isEmpty && lists.isEmpty && names.isEmpty }

  /// What was learned longer ago than this says little of the service that is there now.
  static let longestAge: Int64 = 3_600

  /// Whether something of that moment may be used now; a clock that was set back is no reason.
  static func isFresh(_ moment: Int64, now: Int64) -> Bool {
    (now - longestAge...now + longestAge).contains(moment)
  }
}

/// Why what a process had learned is not used.
enum LearnedFault: Error, Equatable {
  /// The error number with which it could not be read.
  case unreadable(Int32)
  case tooLarge
  /// Another version wrote it.
  case otherVersion
  /// It is not what was written.
  case damaged
  case tooOld
  /// The configuration has no such service.
  case unknownService
  /// The service has no such route.
  case unknownRoute
  /// The service's limit is learned by another rule.
  case otherLimit

  /// The value of the label `reason`.
  var label: String {
    switch self {
    case .unreadable: "unreadable"
    case .tooLarge: "too-large"
    case .otherVersion: "other-version"
    case .damaged: "damaged"
    case .tooOld: "too-old"
    case .unknownService: "unknown-service"
    case .unknownRoute: "unknown-route"
    case .otherLimit: "other-limit"
    }
  }
}
