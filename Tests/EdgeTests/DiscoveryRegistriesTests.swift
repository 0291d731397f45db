import Configuration
import Glibc
import Logging
import Testing
import Units

@testable import Edge
@testable import Upstream

/// The thread that asks registries, with services that the test answers for.
@Suite struct DiscoveryRegistriesTests {
  /// Discovery of some services, and who asks for them.
  private final class Bench {
    let caller = FakeServiceCaller()
    let lines = LogLines()
    let discovery: Discovery
    let registries: DiscoveryRegistries

    init(_ settings: Settings) throws {
      let lines = lines
      discovery = Discovery(logger: Logger(label: "test") { _ in lines })
      discovery.commit(
        discovery.plan(settings, after: Settings(), { _ in .addressed }, at: EdgeServer.now)
      )
      registries = DiscoveryRegistries(
        discovery,
        caller,
        pacing: RegistryPacing(),
        seed: 7
      )
      try registries.start(for: settings)
      registries.watch(discovery.sources)
    }

    deinit { registries.stop() }

    func list(_ service: String = "shop") -> EndpointList? { discovery.entry(of: service)?.list }

    var hosts: [String] { (list()?.endpoints ?? []).map { $0.endpoint.description } }

    func resyncs(_ why: RegistryResync) -> UInt64 {
      discovery.entry(of: "shop")?.resyncs[why.rawValue] ?? 0
    }
  }

  private static func settings(
    _ subject: RegistrySetting.Subject,
    token: String? = nil,
    services: [String] = ["shop"]
  ) -> Settings {
    var settings = Settings()
    settings.services = services.map { name in
      var service = ServiceSetting(name: name, endpoints: [])
      service.discovery = .registry(
        RegistrySetting(service: "registry", subject, tokenFile: token)
      )
      return service
    }
    return settings
  }

  private static let etcd = RegistrySetting.Subject.etcd(prefix: "/s/")
  private static let consul = RegistrySetting.Subject.consul(
    name: "catalog",
    tag: nil,
    datacenter: nil
  )

  private static func range(_ values: [String], revision: Int = 5) -> String {
    let keys = values.enumerated().map { index, value in
      let key = Base64.encode(Array("/s/\(index)".utf8))
      return
        "{\"key\":\"\(key)\",\"create_revision\":\"2\",\"mod_revision\":\"2\",\"version\":\"1\","
        + "\"value\":\"\(Base64.encode(Array(value.utf8)))\"}"
    }
    return "{\"header\":{\"revision\":\"\(revision)\"},\"kvs\":[\(keys.joined(separator: ","))]}"
  }

  private static func instances(_ hosts: [String]) -> String {
    let items = hosts.map { "{\"Service\":{\"ID\":\"\($0)\",\"Address\":\"\($0)\",\"Port\":80}}" }
    return "[\(items.joined(separator: ","))]"
  }

  private static let index = [ServiceField("x-consul-index", "9")]

  @Test func `what a registry lists and what changes in it is heard`() throws {
    let bench = try Bench(Self.settings(Self.etcd))
    bench.caller.call(0).answer(Self.range(["10.0.0.1:80", "[FD00::2]:81"]))
    wait { bench.list()?.isUp == true }
    #expect(bench.hosts == ["10.0.0.1:80", "[fd00::2]:81"])
    wait { bench.discovery.takeNews() }

    let watch = bench.caller.call(1)
    #expect(watch.request.isStream)
    let message =
      "{\"result\":{\"header\":{\"revision\":\"6\"},\"events\":[{\"type\":\"DELETE\","
      + "\"kv\":{\"key\":\"\(Base64.encode(Array("/s/0".utf8)))\",\"mod_revision\":\"6\"}}]}}\n"
    watch.say(.head(status: 200, fields: []), .body(Array(message.utf8)))

    wait { bench.hosts == ["[fd00::2]:81"] }
    bench.registries.stop()
    #expect(watch.isCancelled)
    #expect(bench.lines.kept.withLock { $0 }.allSatisfy { $0.contains("(etcd /s/ at registry)") })
  }

  @Test func `a service that was away for a moment is asked for anew`() throws {
    let bench = try Bench(Self.settings(Self.etcd))
    bench.caller.call(0).answer(Self.range(["10.0.0.1:80"]))
    wait { bench.list()?.isUp == true }
    let watch = bench.caller.call(1)

    // Two reloads, perhaps both before the thread looks: what was heard is gone with the first.
    bench.registries.watch([])
    bench.registries.watch(bench.discovery.sources)

    wait { bench.caller.calls.count == 3 }
    #expect(watch.isCancelled)
    #expect(!bench.caller.call(2).request.isStream)
  }

  @Test func `a registry that is away, empty or says nonsense keeps the last list`() throws {
    let bench = try Bench(Self.settings(Self.consul))
    bench.caller.call(0).answer(Self.instances(["10.0.0.1"]), fields: Self.index)
    wait { bench.list()?.isUp == true }

    bench.caller.call(1).say(.failed("connection refused"))
    wait { bench.list()?.count(.unavailable) == 1 }
    bench.caller.call(2).answer("<html>", fields: Self.index)
    wait { bench.list()?.count(.invalid) == 1 }
    bench.caller.call(3).answer("[]", fields: Self.index)
    wait { bench.list()?.count(.empty) == 1 }
    #expect(bench.list()?.isUp == false)
    #expect(bench.hosts == ["10.0.0.1:80"])
    bench.caller.call(4).answer(Self.instances(["10.0.0.2"]), fields: Self.index)

    wait { bench.list()?.isUp == true }
    #expect(bench.hosts == ["10.0.0.2:80"])
  }

  @Test func `thousands beyond what can be are refused, and one that fits is taken`() throws {
    let bench = try Bench(Self.settings(Self.consul))
    let most = EndpointFile.maximumEndpoints
    func hosts(_ count: Int) -> [String] { (0..<count).map { "10.0.\($0 >> 8).\($0 & 255)" } }

    bench.caller.call(0).answer(Self.instances(hosts(most * 3)), fields: Self.index)
    wait { bench.list()?.count(.tooMany) == 1 }
    #expect(bench.hosts == [])
    bench.caller.call(1).answer(Self.instances(hosts(most)), fields: Self.index)

    wait { bench.hosts.count == most }
  }

  @Test func `addresses that no configuration may name are left out and said once`() throws {
    let bench = try Bench(Self.settings(Self.consul))
    let hosts = ["10.0.0.1", "10.0.0.2\\u0000", "a b", "/run/a", "10.0.0.3/x", "A.Test", "a.test"]
    for call in 0..<2 {
      bench.caller.call(call).answer(
        Self.instances(hosts),
        fields: [ServiceField("x-consul-index", "\(call + 9)")]
      )
      wait { bench.list()?.isUp == true && bench.caller.calls.count > call + 1 }
    }

    #expect(bench.hosts == ["10.0.0.1:80", "a.test:80"])
    #expect(bench.list()?.remark?.count == 4)
    let said = bench.lines.kept.withLock { $0 }.filter { $0.contains("are left out") }
    #expect(said.count == 1)
    #expect(said.first?.contains("entries of shop are left out, 4 of them") == true)
  }

  @Test func `a token is read for each request, and never told`() throws {
    let path = "/tmp/spillway-token-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    defer { unlink(path) }
    let bench = try Bench(Self.settings(Self.consul, token: path))
    wait { bench.list()?.count(.unavailable) == 1 }
    #expect(bench.list()?.problem?.contains("cannot be read: No such file") == true)
    #expect(bench.caller.calls.isEmpty)

    FileText.replace(path, with: "first-secret\n")
    let first = bench.caller.call(0)
    #expect(first.request.fields.contains(ServiceField("x-consul-token", "first-secret")))
    FileText.replace(path, with: "second-secret")
    first.answer(Self.instances(["10.0.0.1"]), fields: Self.index)
    let second = bench.caller.call(1)
    #expect(second.request.fields.contains(ServiceField("x-consul-token", "second-secret")))

    FileText.replace(path, with: "two words: third-secret")
    second.say(.failed("gone"))
    wait { bench.list()?.problem?.contains("no token of visible characters") == true }
    #expect(!bench.lines.kept.withLock { $0 }.contains { $0.contains("secret") })
    #expect(bench.hosts == ["10.0.0.1:80"])
  }

  @Test func `sources that go are given up, those that stay keep their calls`() throws {
    let bench = try Bench(Self.settings(Self.etcd, services: ["shop", "other"]))
    wait { bench.caller.calls.count == 2 }
    let sources = bench.discovery.sources

    bench.registries.watch(sources.filter { $0.service == "shop" })
    wait { bench.caller.calls.contains(where: \.isCancelled) }
    let left = try #require(bench.caller.calls.first { !$0.isCancelled })
    left.answer(Self.range(["10.0.0.1:80"]))

    wait { bench.list()?.isUp == true }
    #expect(bench.list("other")?.endpoints == [])
    bench.registries.watch(sources)
    // A list, its watch, and the one that came back.
    wait { bench.caller.calls.count == 4 }
  }

  @Test func `a watch whose past is gone is counted and told, and a list follows`() throws {
    let bench = try Bench(Self.settings(Self.etcd))
    bench.caller.call(0).answer(Self.range(["10.0.0.1:80"]))
    bench.caller.call(1).say(
      .head(status: 200, fields: []),
      .body(Array("{\"result\":{\"canceled\":true,\"compact_revision\":\"9\"}}\n".utf8))
    )

    bench.caller.call(2).answer(Self.range(["10.0.0.2:80"], revision: 12))

    wait { bench.hosts == ["10.0.0.2:80"] }
    #expect(bench.resyncs(.historyGone) == 1)
    #expect(bench.caller.call(1).isCancelled)
    #expect(
      bench.lines.kept.withLock { $0 }.contains {
        $0.contains("the endpoints of shop are asked for anew: history-gone")
      }
    )
    #expect(bench.list()?.count(.unavailable) == 0)
  }

  @Test func `weights, priorities and zones go on to what is served and shown`() throws {
    let settings = Self.settings(Self.etcd)
    let bench = try Bench(settings)
    bench.caller.call(0).answer(
      Self.range([
        #"{"address":"10.0.0.1:80","weight":3,"priority":1,"zone":"a\"b"}"#,
        #"{"address":"10.0.0.2:80","zone":"c"}"#, #"{"address":"10.0.0.3:80","zone":"c"}"#,
        "nonsense\n\u{1B}[31m",
      ])
    )
    wait { bench.list()?.isUp == true }

    let traits = bench.discovery.filled(settings).services[0].endpointTraits
    #expect(traits.map(\.weight) == [3, 1, 1])
    #expect(traits.map(\.priority) == [1, 0, 0])
    let report = DiscoveryReport(bench.discovery, NameBook())
    let text = report.json("shop")
    #expect(text.contains("\"source\":\"etcd\",\"from\":\"/s/ at registry\",\"isUp\":true"))
    #expect(text.contains("\"zones\":{\"c\":2,\"a\\\"b\":1}"), "\(text)")
    #expect(
      text.contains("\"invalidEntries\":1,\"invalidEntry\":\"/s/3: is no address with a port\""),
      "\(text)"
    )
    #expect(report.lines("shop")[0].contains("1 entries left out: /s/3: is no address"))
  }
}
