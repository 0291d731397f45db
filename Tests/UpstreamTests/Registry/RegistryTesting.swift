import Testing
import Units

@testable import Upstream

extension RegistryRules {
  /// Whatever has a host and a port; configurations judge more closely.
  static func plain(most: Int = 8) -> RegistryRules {
    RegistryRules(maximumEntries: most, maximumKeyBytes: 1_000) { text in
      guard let colon = text.lastIndex(of: ":"),
        let port = UInt16(text[text.index(after: colon)...]),
        port > 0, colon > text.startIndex, !text.contains(" ")
      else { return nil }
      let host = text[..<colon]
      let bare = host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
      return .host(String(bare), port: port)
    }
  }
}

/// A watcher on a clock of its own, and what it says.
struct WatchedRegistry {
  var watcher: RegistryWatcher
  var now = Instant(1_000_000_000_000)
  var random = SplitMix64(seed: 7)
  /// The last request, while its call is under way.
  var request: ServiceRequest?
  var lists: [RegistryList] = []
  var failures: [DiscoveryFailure] = []
  var problem = ""
  var resyncs: [RegistryResync] = []

  init(_ subject: RegistryQuestion.Subject, most: Int = 8) {
    watcher = RegistryWatcher(
      RegistryQuestion(service: "registry", subject),
      .plain(most: most),
      at: now
    )
    wake()
  }

  /// The endpoints of the last list, by address.
  var hosts: [String] {
    (lists.last?.endpoints ?? []).map { endpoint in
      guard case .host(let host, let port) = endpoint.address else { return "a socket" }
      return "\(host):\(port)"
    }
  }

  var body: String { String(decoding: request?.body ?? [], as: UTF8.self) }

  private mutating func take(_ steps: [RegistryWatcher.Step]) {
    for step in steps {
      switch step {
      case .cancel: request = nil
      case .begin(let next): request = next
      case .list(let list): lists.append(list)
      case .failure(let failure, let words):
        failures.append(failure)
        problem = words
      case .resync(let why): resyncs.append(why)
      }
    }
  }

  mutating func hear(_ event: ServiceEvent) {
    switch event {
    case .end, .failed: request = nil
    case .head, .body: break
    }
    take(watcher.hear(event, at: now, using: &random))
  }

  /// Lets the time come that it waits for.
  mutating func wake() {
    now = max(now, watcher.due)
    take(watcher.wake(at: now, using: &random))
  }

  mutating func pass(_ span: Nanoseconds) {
    now = now + span
    take(watcher.wake(at: now, using: &random))
  }

  /// An answer with its head, whole.
  mutating func answer(_ text: String, status: Int = 200, fields: [ServiceField] = []) {
    hear(.head(status: status, fields: fields))
    if !text.isEmpty { hear(.body(Array(text.utf8))) }
    hear(.end)
  }

  /// The head of a stream.
  mutating func open() { hear(.head(status: 200, fields: [])) }

  /// A message of a stream, in pieces that mean nothing.
  mutating func say(_ text: String) {
    let bytes = Array("\(text)\n".utf8)
    let middle = bytes.count / 2
    for part in [bytes[..<middle], bytes[middle...]] where !part.isEmpty {
      hear(.body(Array(part)))
    }
  }
}
