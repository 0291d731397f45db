internal import Units

/// A list of endpoints as a registry says it, and what of it is of no use.
public struct RegistryList: Sendable, Equatable {
  public var endpoints: [ListedEndpoint]
  /// Entries that are left out, `nil` where all are of use.
  public var remark: EndpointList.Remark?

  public init(_ endpoints: [ListedEndpoint], remark: EndpointList.Remark? = nil) {
    self.endpoints = endpoints
    self.remark = remark
  }
}

/// Why a list is asked for whole though changes of it were being heard.
public enum RegistryResync: Int, Sendable, CaseIterable {
  /// It is asked for now and then, whatever is heard.
  case periodic
  /// The registry has forgotten the changes since (etcd's `compact_revision`, 410 of Kubernetes).
  case historyGone
  /// What is heard does not fit what is known, so something was not heard.
  case lostChanges
  /// The stream of changes broke.
  case interrupted
  /// Consul's index went backwards.
  case indexReset

  /// The value of the label `reason`.
  public var label: String {
    switch self {
    case .periodic: "periodic"
    case .historyGone: "history-gone"
    case .lostChanges: "lost-changes"
    case .interrupted: "interrupted"
    case .indexReset: "index-reset"
    }
  }
}

/// How an answer that is a whole list stands to the one before.
enum RegistryPace: Sendable, Equatable {
  /// It is another one.
  case news
  /// It is the same.
  case same
  /// What follows cannot be waited for, as it was not numbered.
  case unnumbered
  /// Its number is less than before: the numbers begin anew.
  case reset
}

/// What a piece of an answer came to.
enum RegistryTurn: Sendable, Equatable {
  /// Nothing yet.
  case on
  /// The list has changed; the stream goes on.
  case list(RegistryList)
  /// The answer is over, and the next request follows at once; with a list where it was the last page.
  case next(RegistryList?)
  /// The answer is over and is asked for again.
  case again(RegistryList, RegistryPace)
  /// The stream is over, as streams are now and then.
  case ended
  /// What is known is to be forgotten and the whole list asked for.
  case resync(RegistryResync)
  case failed(DiscoveryFailure, String)
}

/// What a registry is asked and how its answers are read: one protocol each, without clock or socket.
///
/// One request is under way at a time. `request` says the next one, by what was heard so far.
protocol RegistrySpeaker: Sendable {
  /// Whether changes are heard and added to what is known, so that a whole list now and then is a check.
  var hearsChanges: Bool { get }
  /// How long the answer to the last request may take.
  var patience: Nanoseconds { get }
  mutating func request() -> ServiceRequest
  /// The head of an answer with status 200.
  mutating func head(_ fields: [ServiceField]) -> RegistryTurn
  mutating func body(_ bytes: [UInt8]) -> RegistryTurn
  mutating func end() -> RegistryTurn
  /// An answer with another status, and the beginning of its body.
  func refused(_ status: Int, _ body: [UInt8]) -> RegistryTurn
  /// Forgets what was heard: the next request asks for all.
  mutating func reset()
}

extension RegistrySpeaker {
  /// What an operator is told of an answer, with the registry's own words where it has some.
  func words(_ status: Int, _ body: [UInt8]) -> String {
    let answer = try? JSONValue(body)
    let plain = body.count <= 200 ? String(validating: body, as: UTF8.self) : nil
    let said = answer?["message"]?.text ?? answer?["error"]?.text ?? plain ?? ""
    let end = said.lastIndex { !$0.isWhitespace }.map { said.index(after: $0) } ?? said.startIndex
    return end == said.startIndex ? "answers \(status)" : "answers \(status): \(said[..<end])"
  }
}

extension ServiceRequest {
  /// Bytes of a whole answer: 4,096 endpoints with 4 KiB each.
  static let maximumRegistryBytes = 16 << 20
}

/// Lines of a stream, each a message; one that does not end is bounded.
struct LineBuffer: Sendable {
  /// Bytes of a line; etcd sends no more than about 2 MiB at once.
  static let maximumBytes = 4 << 20
  private var rest: [UInt8] = []

  /// Adds bytes and takes the lines that are whole; `nil` where one is too long.
  mutating func take(_ bytes: [UInt8]) -> [ArraySlice<UInt8>]? {
    let before = rest.count
    rest += bytes
    guard let last = rest[before...].lastIndex(of: 0x0A) else {
      return rest.count <= Self.maximumBytes ? [] : nil
    }
    let lines = rest[...last].split(separator: 0x0A)
    rest = Array(rest[(last + 1)...])
    return lines.allSatisfy { $0.count <= Self.maximumBytes } ? lines : nil
  }
}
