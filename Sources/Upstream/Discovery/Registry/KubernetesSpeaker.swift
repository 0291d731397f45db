internal import Units

/// Reads the EndpointSlices of a Kubernetes service: a list in pages, then a watch from its version.
///
/// ```
///   list, page by page ──▶ watch from resourceVersion ──▶ ADDED, MODIFIED, DELETED, BOOKMARK
///        ▲                      │ 410 Gone, or a change       │ the stream ends
///        └──────────────────────┘ that does not fit           └──▶ watch from the last version
/// ```
///
/// Endpoints that are ready are served, one that is on its way out (`terminating`) only while none is
/// ready and it still serves, as the proxies of Kubernetes do. Source: Kubernetes, "API Concepts"
/// and "EndpointSlices".
struct KubernetesSpeaker: WatchingSpeaker {
  /// Which of a slice's ports is meant.
  typealias Port = RegistryQuestion.Port

  private static let pageSize = 500
  /// Pages of a list, more than endpoints that a service may have: a server that never ends would be
  /// asked for ever.
  private static let mostPages = 256
  /// The API server ends a watch by itself after this; the whole list is asked for before that.
  private static let watchSeconds = 570

  let patience = Nanoseconds.seconds(60)
  private let service: String
  private let path: String
  private let port: Port?
  private let rules: RegistryRules
  private(set) var isWatching = false
  var answer: [UInt8] = []
  var lines = LineBuffer()
  /// Where the next page begins, empty for the first one.
  private var place = ""
  private var pages = 0
  private var slices: [String: KubernetesSlice] = [:]
  private var version = ""

  init(service: String, namespace: String, name: String, port: Port?, rules: RegistryRules) {
    self.service = service
    self.port = port
    self.rules = rules
    path =
      "/apis/discovery.k8s.io/v1/namespaces/\(PercentText.encode(namespace))/endpointslices"
      + "?labelSelector=kubernetes.io%2Fservice-name%3D\(PercentText.encode(name))"
  }

  mutating func reset() {
    isWatching = false
    place = ""
    slices = [:]
  }

  mutating func request() -> ServiceRequest {
    answer = []
    lines = LineBuffer()
    var target = path
    if isWatching {
      target += "&watch=1&allowWatchBookmarks=true&timeoutSeconds=\(Self.watchSeconds)"
      target += "&resourceVersion=\(PercentText.encode(version))"
    } else {
      target += "&limit=\(Self.pageSize)"
      if !place.isEmpty { target += "&continue=\(PercentText.encode(place))" }
    }
    return ServiceRequest(
      service: service,
      target: target,
      fields: [ServiceField("accept", "application/json")],
      isStream: isWatching,
      maximumBytes: ServiceRequest.maximumRegistryBytes
    )
  }

  mutating func take(page: JSONValue) -> RegistryTurn {
    guard let items = page["items"]?.items ?? (page["metadata"] == nil ? nil : []),
      let version = page["metadata"]?["resourceVersion"]?.text, Self.isVersion(version)
    else { return .failed(.invalid, "the answer is no list with a resourceVersion") }
    if place.isEmpty { (slices, pages) = ([:], 0) }
    pages += 1
    for item in items {
      guard let (name, slice) = slice(item) else {
        return .failed(.invalid, "the answer has a slice without a name")
      }
      slices[name] = slice
    }
    guard isWithinBounds else { return tooMany }
    self.version = version
    place = page["metadata"]?["continue"]?.text ?? ""
    guard place.isEmpty else {
      // A page that brings nothing, and a place that grows without end, would be asked for for ever.
      guard !items.isEmpty, pages < Self.mostPages, place.utf8.count <= 4_096 else {
        return .failed(.invalid, "the answer has no end")
      }
      return .next(nil)
    }
    isWatching = true
    return .next(list)
  }

  func refused(_ status: Int, _ body: [UInt8]) -> RegistryTurn {
    status == 410 ? .resync(.historyGone) : .failed(.unavailable, words(status, body))
  }

  // MARK: - Watch

  mutating func hear(_ message: JSONValue, _ hasChanged: inout Bool) -> RegistryTurn {
    guard let object = message["object"] else {
      return .failed(.invalid, "a message of the watch has no object")
    }
    let kind = message["type"]?.text
    if kind == "ERROR" {
      if object["code"]?.number == 410 { return .resync(.historyGone) }
      return .failed(
        .unavailable,
        "the watch fails: \(object["message"]?.text ?? "without a word")"
      )
    }
    guard let version = object["metadata"]?["resourceVersion"]?.text, Self.isVersion(version)
    else { return .failed(.invalid, "a message of the watch has no resourceVersion") }
    if kind != "BOOKMARK" {
      guard let (name, slice) = slice(object) else {
        return .failed(.invalid, "a message of the watch has a slice without a name")
      }
      let known = slices[name]
      switch kind {
      case "ADDED" where known == nil: slices[name] = slice
      case "MODIFIED" where known?.identity == slice.identity: slices[name] = slice
      case "DELETED" where known != nil: slices[name] = nil
      case "ADDED", "MODIFIED", "DELETED": return .resync(.lostChanges)
      default: return .failed(.invalid, "a message of the watch is of no known type")
      }
      guard isWithinBounds else { return tooMany }
      hasChanged = true
    }
    self.version = version
    return .on
  }

  /// Whether this is what is sent back as it came.
  private static func isVersion(_ text: String) -> Bool { (1...128).contains(text.utf8.count) }

  private var isWithinBounds: Bool {
    slices.count <= rules.maximumEntries
      && slices.values.reduce(0) { $0 + $1.entries.count } <= rules.maximumEntries
  }

  private var tooMany: RegistryTurn {
    .failed(.tooMany, "has more than \(rules.maximumEntries) endpoints")
  }

  private func slice(_ item: JSONValue) -> (name: String, slice: KubernetesSlice)? {
    guard let name = item["metadata"]?["name"]?.text, (1...253).contains(name.utf8.count) else {
      return nil
    }
    return (name, KubernetesSlice(item, port: port, rules))
  }

  var list: RegistryList {
    var ready = RegistryGathering()
    var leaving = RegistryGathering()
    for (name, slice) in slices.sorted(by: { $0.key < $1.key }) {
      if let problem = slice.problem {
        ready.refuse(name, problem)
        leaving.refuse(name, problem)
      }
      for entry in slice.entries {
        switch entry {
        case .ready(let endpoint): ready.add(endpoint)
        case .leaving(let endpoint): leaving.add(endpoint)
        case .refused(let problem):
          ready.refuse(name, problem)
          leaving.refuse(name, problem)
        case .absent: break
        }
      }
    }
    return ready.count > 0 || leaving.count == 0 ? ready.list : leaving.list
  }
}

/// What one EndpointSlice comes to.
struct KubernetesSlice: Sendable {
  enum Entry: Sendable {
    case ready(ListedEndpoint)
    /// It is on its way out and serves what comes to it.
    case leaving(ListedEndpoint)
    /// It is not ready.
    case absent
    case refused(String)
  }

  /// The `uid`, which another slice of the same name has not.
  private(set) var identity: String
  private(set) var entries: [Entry] = []
  /// Why none of its endpoints is of use.
  private(set) var problem: String?

  init(_ item: JSONValue, port wanted: RegistryQuestion.Port?, _ rules: RegistryRules) {
    // They have 36 bytes; what is longer is none of the API server's.
    let uid = item["metadata"]?["uid"]?.text ?? ""
    identity = String(decoding: uid.utf8.prefix(128), as: UTF8.self)
    let listed = item["endpoints"]?.items ?? []
    // A service without a pod has slices without ports.
    guard !listed.isEmpty else { return }
    guard let port = Self.port(item["ports"]?.items ?? [], wanted) else {
      problem = "has no such port"
      return
    }
    let allowsNames = item["addressType"]?.text == "FQDN"
    entries = listed.map { Self.entry($0, port: port, allowsNames: allowsNames, rules) }
  }

  /// The one that is wanted, or the only one that there is.
  private static func port(_ ports: [JSONValue], _ wanted: RegistryQuestion.Port?) -> Int? {
    let usable = ports.filter { ($0["protocol"]?.text ?? "TCP") == "TCP" }
    switch wanted {
    case .name(let name): return usable.first { $0["name"]?.text == name }?["port"]?.number
    case .number(let number): return usable.first { $0["port"]?.number == number }?["port"]?.number
    case nil: return usable.count == 1 ? usable[0]["port"]?.number : nil
    }
  }

  private static func entry(
    _ item: JSONValue,
    port: Int,
    allowsNames: Bool,
    _ rules: RegistryRules
  ) -> Entry {
    // What is not said counts as ready and staying.
    let conditions = item["conditions"]
    let isReady = conditions?["ready"]?.flag ?? true
    let isServing = conditions?["serving"]?.flag ?? isReady
    let isTerminating = conditions?["terminating"]?.flag ?? false
    guard isReady || (isServing && isTerminating) else { return .absent }
    // Addresses beyond the first have no meaning.
    guard let host = item["addresses"]?.items?.first?.text,
      allowsNames || RegistryRules.isLiteral(host),
      let address = rules.address(host: host, port: port)
    else { return .refused("has an endpoint without an address") }
    let endpoint = ListedEndpoint(address, zone: RegistryRules.zone(item["zone"]?.text))
    return isReady && !isTerminating ? .ready(endpoint) : .leaving(endpoint)
  }
}
