internal import Units

/// Reads the passing instances of a service of Consul's catalogue, by blocking queries.
///
/// Each answer is the whole list, with an index; the next question waits at Consul until there is a
/// greater one, or its time is up. An index that is 0, missing or less than before says nothing of
/// what follows, so the next question does not wait. Source: Consul, "Blocking Queries" and "Health
/// HTTP Endpoint".
struct ConsulSpeaker: RegistrySpeaker {
  /// How long a question waits; Consul adds up to a sixteenth.
  static let wait = Nanoseconds.seconds(240)
  private static let answerTime = Nanoseconds.seconds(60)

  let hearsChanges = false
  private let service: String
  private let target: String
  private let rules: RegistryRules
  private var index: UInt64 = 0
  private var nextIndex: UInt64 = 0
  private var answer: [UInt8] = []

  init(
    service: String,
    name: String,
    tag: String?,
    datacenter: String?,
    rules: RegistryRules
  ) {
    self.service = service
    self.rules = rules
    var target = "/v1/health/service/\(PercentText.encode(name))?passing=1"
    if let tag { target += "&tag=\(PercentText.encode(tag))" }
    if let datacenter { target += "&dc=\(PercentText.encode(datacenter))" }
    self.target = target
  }

  var patience: Nanoseconds {
    guard index > 0 else { return Self.answerTime }
    return Nanoseconds(Self.wait.rawValue / 16 * 17) + Self.answerTime
  }

  mutating func reset() { index = 0 }

  mutating func request() -> ServiceRequest {
    answer = []
    nextIndex = 0
    let waiting = index > 0 ? "&index=\(index)&wait=\(Self.wait.rawValue / 1_000_000_000)s" : ""
    return ServiceRequest(
      service: service,
      target: target + waiting,
      fields: [ServiceField("accept", "application/json")],
      // It is silent for minutes, which no time of a plain request allows.
      isStream: index > 0,
      maximumBytes: ServiceRequest.maximumRegistryBytes
    )
  }

  mutating func head(_ fields: [ServiceField]) -> RegistryTurn {
    let field = fields.last { $0.name.lowercased() == "x-consul-index" }
    nextIndex = field.flatMap { UInt64($0.value) } ?? 0
    return .on
  }

  mutating func body(_ bytes: [UInt8]) -> RegistryTurn {
    answer += bytes
    guard answer.count <= ServiceRequest.maximumRegistryBytes else {
      return .failed(
        .tooMany,
        "the answer has more than \(ServiceRequest.maximumRegistryBytes) bytes"
      )
    }
    return .on
  }

  mutating func end() -> RegistryTurn {
    defer { answer = [] }
    switch Self.page(answer) {
    case .success(let page): return take(page: page)
    case .failure(let fault): return .failed(.invalid, "the answer \(fault.words)")
    }
  }

  private mutating func take(page: JSONValue) -> RegistryTurn {
    guard let items = page.items else { return .failed(.invalid, "the answer is no list") }
    guard items.count <= rules.maximumEntries else {
      return .failed(.tooMany, "has more than \(rules.maximumEntries) instances")
    }
    let pace: RegistryPace =
      if nextIndex < index { .reset } else if nextIndex == 0 { .unnumbered } else {
        nextIndex == index ? .same : .news
      }
    index = pace == .reset ? 0 : nextIndex
    return .again(list(items), pace)
  }

  func refused(_ status: Int, _ body: [UInt8]) -> RegistryTurn {
    .failed(.unavailable, words(status, body))
  }

  // MARK: - Entries

  private func list(_ items: [JSONValue]) -> RegistryList {
    var gathering = RegistryGathering()
    var heaviest = 1
    var found: [(endpoint: ListedEndpoint, weight: Int)] = []
    for item in items {
      let service = item["Service"]
      let name = service?["ID"]?.text ?? "an instance without ID"
      // An instance without an address of its own is reached at its node's.
      let own = service?["Address"]?.text ?? ""
      let host = own.isEmpty ? item["Node"]?["Address"]?.text ?? "" : own
      guard let port = service?["Port"]?.number,
        let address = rules.address(host: host, port: port)
      else {
        gathering.refuse(name, "has no address with a port")
        continue
      }
      let weight = service?["Weights"]?["Passing"]?.number ?? 1
      guard (1...65_535).contains(weight) else {
        gathering.refuse(name, "has a weight that is not from 1 to 65535")
        continue
      }
      heaviest = max(heaviest, weight)
      let zone = service?["Locality"]?["Zone"]?.text ?? item["Node"]?["Locality"]?["Zone"]?.text
      found.append((ListedEndpoint(address, zone: RegistryRules.zone(zone)), weight))
    }
    // Measured where they do not fit, so that the greatest is the greatest that can be.
    let most = RegistryRules.weights.upperBound
    for (endpoint, weight) in found {
      var endpoint = endpoint
      endpoint.weight = heaviest > most ? max(1, weight * most / heaviest) : weight
      gathering.add(endpoint)
    }
    return gathering.list
  }
}
