import Units
import Upstream

#if FUZZER
import FuzzSupport
#endif

/// What a registry answers, one answer behind the other with a byte of zero between, and the endpoints
/// that are made of it.
///
/// The first byte says which registry it is.
#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzRegistry(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  guard count > 0 else { return 0 }
  let answers = UnsafeBufferPointer(start: bytes + 1, count: count - 1)
    .split(separator: 0, omittingEmptySubsequences: false).map { Array($0) }
  let whole = RegistryRun(bytes[0], answers, piece: .max)
  let pieces = RegistryRun(bytes[0], answers, piece: 7)
  // What came before a fault is told where it came apart from it.
  guard !whole.hasTrouble else { return 0 }
  require(!pieces.hasTrouble, "where an answer is cut makes no fault of it")
  require(whole.last == pieces.last, "where an answer is cut says nothing")
  return 0
}

/// One registry that is asked and answers, with what holds for all that it says.
private struct RegistryRun {
  private static let most = 6
  private(set) var last: RegistryList?
  private(set) var hasTrouble = false
  private var watcher: RegistryWatcher
  private var request: ServiceRequest?
  private var isOpen = false
  private var now = Instant(1)
  private var random = SplitMix64(seed: 1)

  init(_ kind: UInt8, _ answers: [[UInt8]], piece: Int) {
    let subject: RegistryQuestion.Subject =
      switch kind % 4 {
      case 0: .etcd(prefix: "/s/")
      case 1: .consul(name: "shop", tag: nil, datacenter: nil)
      case 2: .kubernetes(namespace: "a", name: "b", port: .name("http"))
      default: .kubernetes(namespace: "a", name: "b", port: nil)
      }
    let rules = RegistryRules(maximumEntries: Self.most) { RegistryRun.address($0) }
    watcher = RegistryWatcher(RegistryQuestion(service: "r", subject), rules, at: now)
    for answer in answers {
      if request == nil {
        now = max(now, watcher.due)
        take(watcher.wake(at: now, using: &random))
      }
      guard let request else { continue }
      // Those of Consul end, though they are long in coming.
      let goesOn = request.isStream && kind % 4 != 1
      if !isOpen || !goesOn {
        let index = ServiceField("x-consul-index", "\(answer.count / 2)")
        hear(.head(status: answer.first == 0x21 ? 500 : 200, fields: [index]))
        isOpen = true
      }
      for start in stride(from: 0, to: answer.count, by: min(piece, max(1, answer.count))) {
        guard self.request != nil else { break }
        hear(.body(Array(answer[start..<min(answer.count, start + min(piece, answer.count))])))
      }
      if !goesOn, self.request != nil { hear(.end) }
      now = now + .seconds(20)
    }
  }

  /// What has a host and a port, for this.
  private static func address(_ text: String) -> ListedEndpoint.Address? {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
      port > 0, text.utf8.count <= 64, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { return nil }
    return .host(String(text[..<colon]), port: port)
  }

  private mutating func hear(_ event: ServiceEvent) {
    if event == .end { request = nil }
    take(watcher.hear(event, at: now, using: &random))
  }

  private mutating func take(_ steps: [RegistryWatcher.Step]) {
    for step in steps {
      switch step {
      case .cancel: request = nil
      case .begin(let next):
        require(request == nil, "one call is under way at a time")
        require(next.target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a target is one")
        require(next.target.utf8.count <= 16_000, "and fits a head")
        request = next
        isOpen = false
      case .failure(_, let words):
        require(!words.isEmpty, "a failure has a reason")
        hasTrouble = true
      case .resync: hasTrouble = true
      case .list(let list):
        requireSound(list)
        last = list
      }
    }
    require(request != nil || watcher.due < .never, "it goes on")
  }

  private func requireSound(_ list: RegistryList) {
    require(list.endpoints.count <= Self.most, "no more than there may be")
    require(
      list.remark.map { $0.count > 0 && !$0.words.isEmpty } ?? true,
      "a remark says something"
    )
    require(list.remark == nil || !list.endpoints.isEmpty, "what is useless is no list")
    for endpoint in list.endpoints {
      require((1...1_000).contains(endpoint.weight), "a weight is one")
      require((0...7).contains(endpoint.priority), "a priority is one")
      guard case .host(let host, let port) = endpoint.address else {
        require(false, "a registry names no socket")
        return
      }
      require(Self.address("\(host):\(port)") != nil, "an address is one")
      guard let zone = endpoint.zone else { continue }
      require((1...128).contains(zone.utf8.count), "a zone has a length")
      require(
        zone.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F },
        "and can be read"
      )
    }
  }
}
