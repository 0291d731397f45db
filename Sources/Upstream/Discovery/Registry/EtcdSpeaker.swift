internal import Units

/// Reads endpoints that lie below a prefix of etcd's keys, over its JSON gateway.
///
/// ```
///   range of the prefix ──▶ watch from its revision + 1 ──▶ changes, revision by revision
///        ▲                        │ compacted, or a change that does not fit what is known
///        └────────────────────────┘
/// ```
///
/// A value is `address:port`, or an object such as `{"address": "10.0.0.1:80", "weight": 2, "zone":
/// "a"}`; the key is a name only. Each key carries a version that counts its changes, so one that was
/// not heard shows with the next. Source: etcd 3.4, `rpc.proto` and `kv.proto`.
struct EtcdSpeaker: WatchingSpeaker {
  /// A key as it is known.
  private struct Entry: Sendable {
    var created: Int
    var version: Int
    var content: Result<ListedEndpoint, EtcdValue.Fault>
  }

  /// Within this a range is answered, however many keys it has.
  let patience = Nanoseconds.seconds(60)
  private let service: String
  private let prefix: [UInt8]
  private let rules: RegistryRules
  private(set) var isWatching = false
  var answer: [UInt8] = []
  var lines = LineBuffer()
  private var entries: [[UInt8]: Entry] = [:]
  /// Of the whole cluster, up to which all is known.
  private var revision = 0
  private var cluster = ""

  init(service: String, prefix: String, rules: RegistryRules) {
    self.service = service
    self.prefix = Array(prefix.utf8)
    self.rules = rules
  }

  mutating func reset() {
    isWatching = false
    entries = [:]
  }

  mutating func request() -> ServiceRequest {
    answer = []
    lines = LineBuffer()
    let range =
      "\"key\":\"\(Base64.encode(prefix))\",\"range_end\":\"\(Base64.encode(Self.end(of: prefix)))\""
    let body =
      isWatching
      ? "{\"create_request\":{\(range),\"start_revision\":\"\(revision + 1)\",\"progress_notify\":true}}"
      : "{\(range),\"limit\":\"\(rules.maximumEntries + 1)\"}"
    return ServiceRequest(
      service: service,
      method: "POST",
      target: isWatching ? "/v3/watch" : "/v3/kv/range",
      fields: [ServiceField("content-type", "application/json")],
      body: Array(body.utf8),
      isStream: isWatching,
      maximumBytes: ServiceRequest.maximumRegistryBytes
    )
  }

  /// The first key behind all that begin with a prefix.
  static func end(of prefix: [UInt8]) -> [UInt8] {
    var end = prefix
    while let last = end.popLast() {
      if last < 0xFF { return end + [last + 1] }
    }
    // One byte of zero means that there is none.
    return [0]
  }

  mutating func take(page: JSONValue) -> RegistryTurn {
    guard let revision = page["header"]?["revision"]?.wideNumber, revision > 0, revision < .max
    else { return .failed(.invalid, "the answer has no revision") }
    let keys = page["kvs"]?.items ?? []
    guard keys.count <= rules.maximumEntries, page["more"]?.flag != true else {
      return .failed(
        .tooMany,
        "has more than \(rules.maximumEntries) keys below the prefix"
      )
    }
    entries = [:]
    for item in keys {
      guard let key = key(of: item), let entry = entry(item) else {
        return .failed(.invalid, "the answer has a key of no sense")
      }
      entries[key] = entry
    }
    self.revision = revision
    cluster = page["header"]?["cluster_id"]?.text ?? ""
    isWatching = true
    return .next(list)
  }

  func refused(_ status: Int, _ body: [UInt8]) -> RegistryTurn {
    .failed(.unavailable, words(status, body))
  }

  // MARK: - Watch

  /// Takes one message.
  mutating func hear(_ message: JSONValue, _ hasChanged: inout Bool) -> RegistryTurn {
    if let error = message["error"] {
      return .failed(.unavailable, "the watch fails: \(error["message"]?.text ?? "without a word")")
    }
    guard let result = message["result"] else {
      return .failed(.invalid, "a message of the watch has no result")
    }
    if let compacted = result["compact_revision"]?.wideNumber, compacted > 0 {
      return .resync(.historyGone)
    }
    if result["canceled"]?.flag == true {
      let reason = result["cancel_reason"]?.text ?? "without a word"
      return .failed(.unavailable, "the watch is cancelled: \(reason)")
    }
    // Another cluster, or one that lost its end, would say nothing of what was before.
    let now = result["header"]?["revision"]?.wideNumber ?? 0
    guard now >= revision, now < .max, result["header"]?["cluster_id"]?.text ?? "" == cluster else {
      return .resync(.lostChanges)
    }
    // What is said at the beginning of a watch, or with old changes, names a revision beyond those that
    // are still to come.
    let events = result["events"]?.items ?? []
    var latest = events.isEmpty && result["created"]?.flag != true ? now : revision
    for event in events {
      guard let item = event["kv"], let key = key(of: item),
        let changed = item["mod_revision"]?.wideNumber
      else { return .failed(.invalid, "a message of the watch has a key of no sense") }
      guard changed > revision, changed <= now, take(event, item, key) else {
        return .resync(.lostChanges)
      }
      guard entries.count <= rules.maximumEntries else {
        return .failed(.tooMany, "has more than \(rules.maximumEntries) keys below the prefix")
      }
      latest = max(latest, changed)
      hasChanged = true
    }
    guard entries.keys.reduce(0, { $0 + $1.count }) <= rules.maximumKeyBytes else {
      return .failed(
        .tooMany,
        "has keys of more than \(rules.maximumKeyBytes) bytes below the prefix"
      )
    }
    revision = latest
    return .on
  }

  /// Whether a change fits what is known of its key.
  private mutating func take(_ event: JSONValue, _ item: JSONValue, _ key: [UInt8]) -> Bool {
    let known = entries[key]
    if event["type"]?.text == "DELETE" {
      entries[key] = nil
      return known != nil
    }
    guard let entry = entry(item) else { return false }
    entries[key] = entry
    guard let known else { return entry.version == 1 }
    return entry.version == known.version + 1 && entry.created == known.created
  }

  private func key(of item: JSONValue) -> [UInt8]? {
    guard let key = item["key"]?.text.flatMap(Base64.decode), key.starts(with: prefix) else {
      return nil
    }
    return key
  }

  private func entry(_ item: JSONValue) -> Entry? {
    guard let created = item["create_revision"]?.wideNumber, created > 0,
      let version = item["version"]?.wideNumber, version > 0, version < .max,
      let value = Base64.decode(item["value"]?.text ?? "")
    else { return nil }
    return Entry(created: created, version: version, content: EtcdValue.read(value, rules))
  }

  var list: RegistryList {
    var gathering = RegistryGathering()
    for (key, entry) in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      switch entry.content {
      case .success(let endpoint): gathering.add(endpoint)
      case .failure(let fault):
        gathering.refuse(String(decoding: key, as: UTF8.self), fault.words)
      }
    }
    return gathering.list
  }
}

/// What stands behind a key of etcd.
enum EtcdValue {
  struct Fault: Error { let words: String }

  /// Bytes of a value; what is longer is no endpoint.
  static let maximumBytes = 4_096

  static func read(_ bytes: [UInt8], _ rules: RegistryRules) -> Result<ListedEndpoint, Fault> {
    guard bytes.count <= maximumBytes else { return .failure(Fault(words: "is too long")) }
    let blanks: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
    let text = bytes.drop(while: blanks.contains)
    guard text.first == UInt8(ascii: "{") else {
      let end = text.lastIndex { !blanks.contains($0) }.map { $0 + 1 } ?? text.startIndex
      guard let plain = String(validating: text[..<end], as: UTF8.self),
        let address = rules.read(plain)
      else { return .failure(Fault(words: "is no address with a port")) }
      return .success(ListedEndpoint(address))
    }
    do throws(JSONFault) {
      return object(try JSONValue.read(text), rules)
    } catch {
      return .failure(Fault(words: error.words))
    }
  }

  private static func object(
    _ value: JSONValue,
    _ rules: RegistryRules
  ) -> Result<ListedEndpoint, Fault> {
    guard let address = value["address"]?.text.flatMap(rules.read) else {
      return .failure(Fault(words: "has no address with a port"))
    }
    var endpoint = ListedEndpoint(address, zone: RegistryRules.zone(value["zone"]?.text))
    if let weight = value["weight"] {
      guard let number = weight.number, RegistryRules.weights.contains(number) else {
        return .failure(Fault(words: "has a weight that is not from 1 to 1000"))
      }
      endpoint.weight = number
    }
    if let priority = value["priority"] {
      guard let number = priority.number, RegistryRules.priorities.contains(number) else {
        return .failure(Fault(words: "has a priority that is not from 0 to 7"))
      }
      endpoint.priority = number
    }
    return .success(endpoint)
  }
}
