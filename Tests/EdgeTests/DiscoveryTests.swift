import Configuration
import Glibc
import Logging
import Telemetry
import Testing
import Units

@testable import Edge
@testable import Upstream

/// What is made of the words of sources, and which of them are refused.
struct DiscoveryTests {
  private static let setting = DiscoverySetting.file(path: "/nowhere/endpoints.yaml")

  private static func settings(_ services: [String], names: [String] = []) -> Settings {
    var settings = Settings()
    settings.services = services.map { name in
      var service = ServiceSetting(name: name, endpoints: [])
      service.discovery = setting
      return service
    }
    let listed = names.map { ServiceSetting.Endpoint.host($0, port: 80) }
    settings.services.append(ServiceSetting(name: "plain", endpoints: listed))
    return settings
  }

  /// As of names that nobody has answered.
  private static func reach(_ endpoint: ServiceSetting.Endpoint) -> Discovery.Reach {
    EdgeServer.literal(endpoint).isEmpty ? .unanswered : .addressed
  }

  private static let now = Instant(1_000_000_000_000)

  private static func discovery(_ settings: Settings) -> Discovery {
    let discovery = Discovery(logger: nil)
    discovery.commit(discovery.plan(settings, after: Settings(), reach, at: now))
    return discovery
  }

  private static func source(_ service: String) -> Discovery.Source {
    Discovery.Source(service: service, setting: setting, allowsUnix: true)
  }

  private static func list(_ hosts: [String]) -> DiscoveryWord {
    .list(hosts.map { ListedEndpoint(.host($0, port: 80)) })
  }

  @Test func `services get the endpoints of their lists, and no others do`() {
    let settings = Self.settings(["a", "b"], names: ["c.test"])
    let discovery = Self.discovery(settings)

    discovery.hear(Self.list(["10.0.0.1", "10.0.0.2"]), from: Self.source("a"))
    discovery.hear(Self.list(["10.0.0.3"]), from: Self.source("nobody"))
    _ = discovery.promote(Self.reach, at: Self.now)

    let filled = discovery.filled(settings)
    #expect(filled.services.map(\.endpoints.count) == [2, 0, 1])
    #expect(discovery.takeNews())
    #expect(!discovery.takeNews())
  }

  @Test func `a list of names waits for an address while another one serves`() {
    let settings = Self.settings(["a"])
    let discovery = Self.discovery(settings)
    discovery.hear(Self.list(["10.0.0.1"]), from: Self.source("a"))

    discovery.hear(Self.list(["A.test", "b.test"]), from: Self.source("a"))
    _ = discovery.promote(Self.reach, at: Self.now)
    #expect(discovery.filled(settings).services[0].endpoints == [.host("10.0.0.1", port: 80)])
    #expect(discovery.waitingNames() == ["a.test", "b.test"])

    let promoted = discovery.promote(
      { $0 == .host("b.test", port: 80) ? .addressed : .failed },
      at: Self.now
    )
    #expect(promoted)
    #expect(discovery.filled(settings).services[0].endpoints.count == 2)
    #expect(discovery.waitingNames().isEmpty)
  }

  @Test func `the first list serves at once, with or without an address`() {
    let settings = Self.settings(["a"])
    let discovery = Self.discovery(settings)

    discovery.hear(Self.list(["a.test"]), from: Self.source("a"))

    #expect(discovery.filled(settings).services[0].endpoints == [.host("a.test", port: 80)])
  }

  @Test func `a list that overlaps the last one waits until its new names are asked`() throws {
    let settings = Self.settings(["a"])
    let discovery = Self.discovery(settings)
    discovery.hear(Self.list(["10.0.0.1", "10.0.0.2"]), from: Self.source("a"))
    var answers: [String: Discovery.Reach] = [:]
    func promote(at now: Instant) -> Bool {
      discovery.promote(
        { endpoint in
          guard case .host(let host, _) = endpoint else { return .failed }
          return answers[host] ?? Self.reach(endpoint)
        },
        at: now
      )
    }

    discovery.hear(Self.list(["10.0.0.1", "b.test", "c.test"]), from: Self.source("a"))
    let heard = try #require(discovery.entry(of: "a")?.waitingSince)
    #expect(!promote(at: heard))
    answers["b.test"] = .failed
    #expect(!promote(at: heard))
    #expect(discovery.filled(settings).services[0].endpoints.count == 2)
    answers["c.test"] = .addressed
    #expect(promote(at: heard))
    #expect(discovery.filled(settings).services[0].endpoints.count == 3)
    #expect(discovery.nextPromotion(after: heard) == nil)

    // One that nobody answers holds it for a while, and lists that follow for no longer.
    discovery.hear(Self.list(["10.0.0.3", "d.test"]), from: Self.source("a"))
    let next = try #require(discovery.entry(of: "a")?.waitingSince)
    discovery.hear(Self.list(["10.0.0.4", "d.test"]), from: Self.source("a"))
    let due = try #require(discovery.nextPromotion(after: next))
    #expect(due == next + Discovery.Entry.patience)
    #expect(!promote(at: Instant(due.rawValue - 1)))
    #expect(promote(at: due))
    #expect(discovery.filled(settings).services[0].endpoints.first == .host("10.0.0.4", port: 80))

    // Nobody of it can be connected to: that never takes the place of somebody.
    discovery.hear(Self.list(["e.test"]), from: Self.source("a"))
    answers["e.test"] = .failed
    #expect(!promote(at: due + .seconds(3_600)))
    #expect(discovery.nextPromotion(after: due + .seconds(3_600)) == nil)
    // The list that serves is listed again.
    discovery.hear(Self.list(["10.0.0.4", "d.test"]), from: Self.source("a"))
    #expect(discovery.entry(of: "a")?.waitingSince == nil)
  }

  @Test func `names that serve are counted beside those of the list that waits`() {
    let settings = Self.settings(["a", "b"])
    let discovery = Self.discovery(settings)
    func names(_ letter: String, _ count: Int) -> DiscoveryWord {
      Self.list((0..<count).map { "\(letter)\($0).test" })
    }
    discovery.hear(names("a", 600), from: Self.source("a"))
    discovery.hear(names("x", 1), from: Self.source("a"))

    discovery.hear(names("b", 424), from: Self.source("b"))
    #expect(discovery.entry(of: "b")?.list.count(.tooMany) == 1)
    discovery.hear(names("b", 423), from: Self.source("b"))
    #expect(discovery.entry(of: "b")?.list.isUp == true)
    // Its own old ones go when these serve.
    discovery.hear(names("y", 600), from: Self.source("a"))
    #expect(discovery.entry(of: "a")?.list.isUp == true)
  }

  @Test func `new files are judged beside all that is served, in whatever order`() throws {
    let settings = Self.settings(["b"])
    let discovery = Self.discovery(settings)
    discovery.hear(Self.list((0..<600).map { "b\($0).test" }), from: Self.source("b"))
    let next = Self.settings(["a", "b", "c"])
    let files = discovery.newFiles(next)
    #expect(files.map(\.service) == ["a", "c"])
    let words = [
      files[0]: Self.list((0..<500).map { "a\($0).test" }),
      files[1]: Self.list(["c.test"]),
    ]

    let plan = discovery.plan(
      next,
      after: discovery.filled(settings),
      words: words,
      Self.reach,
      at: Self.now
    )

    #expect(discovery.filled(next, plan).services.map(\.endpoints.count) == [0, 600, 1, 0])
    #expect(plan.state.entries["a"]?.list.count(.tooMany) == 1)
  }

  @Test func `what a resolver says again is no word of the source`() {
    var settings = Self.settings(["a"])
    settings.services[0].discovery = .services(name: "_http._tcp.a.test", port: nil)
    let discovery = Self.discovery(settings)
    let question = NameQuestion("_http._tcp.a.test", .services)
    let records = [ServiceRecord(target: "10.0.0.1", port: 80)]
    func hear(again: Bool = false, _ change: @escaping (inout NameNews) -> Void) {
      let board = NameBoard()
      if again {
        board.postAgain(question, change)
      } else {
        board.post(question, isNews: true, change)
      }
      discovery.hear(board.take())
    }
    // A service that has the source since is told what is known.
    hear(again: true) { $0.services = records }
    #expect(discovery.entry(of: "a")?.list.isUp == true)

    hear { $0.problem = "timeout" }
    for _ in 0..<3 {
      hear(again: true) {
        $0.services = records
        $0.problem = "timeout"
      }
    }

    #expect(discovery.entry(of: "a")?.list.isUp == false)
    #expect(discovery.entry(of: "a")?.list.count(.unavailable) == 1)
  }

  @Test func `names beyond what is resolved are refused, those of the configuration counted`() {
    let most = NameResolver.maximumNames
    let settings = Self.settings(["a", "b"], names: ["x.test", "y.test"])
    let discovery = Self.discovery(settings)
    let names = (0..<(most - 2)).map { "n\($0).test" }

    discovery.hear(Self.list(names + ["more.test"]), from: Self.source("a"))
    #expect(discovery.entry(of: "a")?.list.count(.tooMany) == 1)
    discovery.hear(Self.list(names + ["X.test", "10.0.0.1"]), from: Self.source("a"))
    #expect(discovery.entry(of: "a")?.list.isUp == true)
    discovery.hear(Self.list(["more.test"]), from: Self.source("b"))
    #expect(discovery.entry(of: "b")?.list.count(.tooMany) == 1)
    discovery.hear(Self.list(["n0.test"]), from: Self.source("b"))

    #expect(discovery.entry(of: "b")?.list.isUp == true)
  }

  @Test func `endpoints of one list, and of all, beyond what can be known are refused`() {
    let settings = Self.settings(["a", "b", "c", "d", "e"])
    let discovery = Self.discovery(settings)
    func some(_ count: Int) -> DiscoveryWord {
      Self.list((0..<count).map { "10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)" })
    }

    let most = EndpointFile.maximumEndpoints
    discovery.hear(some(most + 1), from: Self.source("a"))
    #expect(discovery.entry(of: "a")?.list.count(.tooMany) == 1)
    for service in ["a", "b", "c"] { discovery.hear(some(most), from: Self.source(service)) }
    discovery.hear(some(most - 1), from: Self.source("d"))
    discovery.hear(some(2), from: Self.source("e"))
    #expect(discovery.entry(of: "e")?.list.count(.tooMany) == 1)
    discovery.hear(some(1), from: Self.source("e"))

    #expect(discovery.entry(of: "e")?.list.endpoints.count == 1)
  }

  @Test func `a plan that is not taken changes nothing, one that is keeps what was heard since`() {
    let settings = Self.settings(["a"])
    let discovery = Self.discovery(settings)
    discovery.hear(Self.list(["10.0.0.1"]), from: Self.source("a"))
    let next = Self.settings(["a", "b"])

    let plan = discovery.plan(next, after: discovery.filled(settings), Self.reach, at: Self.now)
    #expect(discovery.all.map(\.service) == ["a"])
    discovery.hear(Self.list(["10.0.0.2"]), from: Self.source("a"))
    _ = discovery.promote(Self.reach, at: Self.now)
    discovery.commit(plan)

    #expect(discovery.all.map(\.service) == ["a", "b"])
    #expect(discovery.filled(next).services[0].endpoints == [.host("10.0.0.2", port: 80)])
  }

  @Test func `another source of a service begins with what it had`() {
    let settings = Self.settings(["a"])
    let discovery = Self.discovery(settings)
    discovery.hear(Self.list(["10.0.0.1"]), from: Self.source("a"))
    var next = settings
    next.services[0].discovery = .file(path: "/nowhere/else.yaml")

    discovery.commit(
      discovery.plan(next, after: discovery.filled(settings), Self.reach, at: Self.now)
    )
    // The thread of the old source may say one more word.
    discovery.hear(Self.list(["10.0.0.9"]), from: Self.source("a"))

    #expect(discovery.filled(next).services[0].endpoints == [.host("10.0.0.1", port: 80)])
    #expect(discovery.entry(of: "a")?.list.isUp == false)
    #expect(discovery.entry(of: "a")?.list.changes == 0)
  }

  @Test func `each line of a source says which one it is`() {
    let lines = LogLines()
    let settings = Self.settings(["a"])
    let discovery = Discovery(logger: Logger(label: "test") { _ in lines })
    discovery.commit(discovery.plan(settings, after: Settings(), Self.reach, at: Self.now))

    discovery.hear(Self.list(["10.0.0.1"]), from: Self.source("a"))
    discovery.hear(.failure(.unavailable, "away"), from: Self.source("a"))
    discovery.hear(Self.list(["10.0.0.1"]), from: Self.source("a"))

    let kept = lines.kept.withLock { $0 }
    #expect(kept.count == 3)
    #expect(kept.allSatisfy { $0.contains("(file /nowhere/endpoints.yaml)") })
  }

  @Test func `a start waits for the first word of registries, and no longer than it may`() {
    var settings = Self.settings(["a"])
    settings.services[0].discovery = .registry(
      RegistrySetting(service: "registry", .etcd(prefix: "/"))
    )
    for word in [Self.list(["10.0.0.1"]), .failure(.unavailable, "away")] {
      let discovery = Self.discovery(settings)
      let source = discovery.sources[0]
      discovery.awaitRegistries(until: EdgeServer.now)
      #expect(discovery.entry(of: "a")?.isUnheard == true)

      let thread = BackgroundThread(name: "test") { discovery.hear(word, from: source) }
      discovery.awaitRegistries(until: .never)

      #expect(discovery.entry(of: "a")?.isUnheard == false)
      thread?.join()
    }
  }

  @Test func `what files say is shown without what steers a terminal`() {
    #expect(Discovery.visible("a\u{1B}[31mb\nc\u{202E}d") == "a?[31mb?c?d")
    #expect(Discovery.visible(String(repeating: "x", count: 5_000)).count == 600)
  }
}
