import Testing
import Units

@testable import Upstream

/// Passing instances of a service of Consul's, by blocking queries.
@Suite struct ConsulSpeakerTests {
  private static func instance(
    _ id: String,
    _ address: String,
    _ port: Int = 80,
    node: String = "10.9.9.9",
    weight: Int? = 1,
    more: String = ""
  ) -> String {
    let weights = weight.map { ",\"Weights\":{\"Passing\":\($0),\"Warning\":1}" } ?? ""
    return "{\"Node\":{\"Node\":\"n\",\"Address\":\"\(node)\",\"Datacenter\":\"dc1\"},"
      + "\"Service\":{\"ID\":\"\(id)\",\"Service\":\"catalog\",\"Tags\":[\"v2\"],"
      + "\"Address\":\"\(address)\",\"Port\":\(port)\(weights)\(more)},\"Checks\":[]}"
  }

  private static func registry(_ most: Int = 8) -> WatchedRegistry {
    WatchedRegistry(.consul(name: "catalog", tag: nil, datacenter: nil), most: most)
  }

  private static func index(_ index: String) -> [ServiceField] {
    [ServiceField("X-Consul-Index", index)]
  }

  private static let one = "[\(instance("a", "10.0.0.1"))]"
  private static let plain = "/v1/health/service/catalog?passing=1"

  @Test func `a question names what is wanted, and waits once there is an index`() {
    var registry = WatchedRegistry(.consul(name: "a b/c", tag: "v2&x", datacenter: "dc1"))
    let target = "/v1/health/service/a%20b%2Fc?passing=1&tag=v2%26x&dc=dc1"
    #expect(registry.request?.target == target)
    #expect(registry.request?.isStream == false)

    registry.answer(Self.one, fields: Self.index("12"))

    #expect(registry.hosts == ["10.0.0.1:80"])
    #expect(registry.request == nil)
    registry.wake()
    #expect(registry.request?.target == "\(target)&index=12&wait=240s")
    #expect(registry.request?.isStream == true)
  }

  @Test func `each answer is the whole list, and news follow each other with a rest between`() {
    var registry = Self.registry()
    let begun = registry.now
    registry.answer(Self.one, fields: Self.index("12"))
    registry.wake()
    #expect(registry.now - begun == .milliseconds(500))
    registry.pass(.seconds(100))

    registry.answer("[\(Self.instance("b", "10.0.0.2", 81))]", fields: Self.index("13"))

    #expect(registry.hosts == ["10.0.0.2:81"])
    // It waited long: the next one goes out at once.
    #expect(registry.watcher.due == registry.now)
    registry.wake()
    #expect(registry.request?.target.hasSuffix("&index=13&wait=240s") == true)
    #expect(registry.resyncs == [] && registry.failures == [])
  }

  @Test func `the same index again after its time is no news and asked on`() {
    var registry = Self.registry()
    registry.answer(Self.one, fields: Self.index("12"))
    registry.wake()
    registry.pass(.seconds(250))
    registry.answer(Self.one, fields: Self.index("12"))

    #expect(registry.watcher.due == registry.now)
    registry.wake()
    // Whoever does not wait is asked slowly.
    registry.answer(Self.one, fields: Self.index("12"))
    #expect(registry.watcher.due - registry.now >= .milliseconds(2_500))
  }

  @Test func `an index that goes backwards begins anew without waiting`() {
    var registry = Self.registry()
    registry.answer(Self.one, fields: Self.index("12"))
    registry.wake()
    registry.pass(.seconds(60))

    registry.answer("[\(Self.instance("b", "10.0.0.2"))]", fields: Self.index("4"))

    #expect(registry.hosts == ["10.0.0.2:80"])
    #expect(registry.resyncs == [.indexReset])
    registry.wake()
    #expect(registry.request?.target == Self.plain)
    registry.answer(Self.one, fields: Self.index("4"))
    registry.wake()
    #expect(registry.request?.target.hasSuffix("&index=4&wait=240s") == true)
  }

  @Test(arguments: [[], index("0"), index("-1"), index("x"), index("99999999999999999999")])
  func `an index of 0, or none, is asked for now and then`(_ fields: [ServiceField]) {
    var registry = Self.registry()

    registry.answer(Self.one, fields: fields)

    #expect(registry.hosts == ["10.0.0.1:80"])
    #expect((.milliseconds(2_500)...(.seconds(5))).contains(registry.watcher.due - registry.now))
    registry.wake()
    #expect(registry.request?.target == Self.plain)
    #expect(registry.resyncs == [])
    // One that had a number before has lost it.
    registry.answer(Self.one, fields: Self.index("7"))
    registry.wake()
    registry.answer(Self.one, fields: fields)
    #expect(registry.resyncs == [.indexReset])
  }

  @Test func `addresses of instances count before those of nodes, zones and weights are carried`() {
    var registry = Self.registry()
    let locality = ",\"Locality\":{\"Region\":\"r\",\"Zone\":\"r-a\"}"

    registry.answer(
      "["
        + [
          Self.instance("a", "", 81, node: "fd00::9"),
          Self.instance("b", "b.test", weight: 7, more: locality),
          Self.instance("c", "10.0.0.3", weight: nil),
        ].joined(separator: ",") + "]",
      fields: Self.index("1")
    )

    #expect(
      registry.lists.last?.endpoints == [
        ListedEndpoint(.host("fd00::9", port: 81)),
        ListedEndpoint(.host("b.test", port: 80), weight: 7, zone: "r-a"),
        ListedEndpoint(.host("10.0.0.3", port: 80)),
      ]
    )
  }

  @Test func `weights beyond what can be are measured by the greatest`() {
    var registry = Self.registry()

    registry.answer(
      "["
        + [("a", 65_535), ("b", 6_554), ("c", 1)].map {
          Self.instance($0.0, "\($0.0).test", weight: $0.1)
        }.joined(separator: ",") + "]",
      fields: Self.index("1")
    )

    #expect(registry.lists.last?.endpoints.map(\.weight) == [1_000, 100, 1])
  }

  @Test(arguments: [
    instance("bad", "10.0.0.2", 0), instance("bad", "10.0.0.2", 70_000),
    instance("bad", "10.0.0.2", -80), instance("bad", "", node: ""),
    instance("bad", "10.0.0.2", weight: 0), instance("bad", "10.0.0.2", weight: 65_536),
    instance("bad", "no name"), "{\"Service\":{\"ID\":\"bad\"}}",
    "{\"Service\":{\"ID\":\"bad\",\"Address\":\"a\",\"Port\":\"80\"}}",
  ])
  func `an instance of no use is left out and named`(_ instance: String) {
    var registry = Self.registry()

    registry.answer("[\(Self.instance("a", "10.0.0.1")),\(instance)]", fields: Self.index("1"))

    #expect(registry.hosts == ["10.0.0.1:80"])
    #expect(registry.lists.last?.remark?.count == 1)
    #expect(registry.lists.last?.remark?.words.hasPrefix("bad: has ") == true)
  }

  @Test(arguments: ["", "{}", "null", "[", "nonsense"])
  func `an answer of no sense is a failure, and all is asked for`(_ text: String) {
    var registry = Self.registry()
    registry.answer(Self.one, fields: Self.index("12"))
    registry.wake()

    registry.answer(text, fields: Self.index("13"))

    #expect(registry.failures == [.invalid])
    registry.wake()
    #expect(registry.request?.target == Self.plain)
  }

  @Test func `an answer without instances is an empty list, which is for others to refuse`() {
    var registry = Self.registry()
    registry.answer("[]", fields: Self.index("12"))

    #expect(registry.lists == [RegistryList([])])
  }

  @Test func `more instances or bytes than there may be are refused`() {
    let many = (0..<3).map { Self.instance("\($0)", "10.0.0.\($0)") }.joined(separator: ",")
    var registry = Self.registry(2)
    registry.answer("[\(many)]", fields: Self.index("12"))
    #expect(registry.failures == [.tooMany])

    registry = Self.registry()
    registry.answer(Self.one, fields: Self.index("12"))
    registry.wake()
    registry.hear(.head(status: 200, fields: Self.index("13")))
    let block = [UInt8](repeating: 0x20, count: 1 << 20)
    for _ in 0..<16 { registry.hear(.body(block)) }
    #expect(registry.failures == [])
    registry.hear(.body([0x20]))
    #expect(registry.failures == [.tooMany])
    #expect(registry.request == nil)
  }

  @Test func `a refusal is told in the registry's words`() {
    var registry = Self.registry()

    registry.answer("Permission denied: token lacks permission", status: 403)

    #expect(registry.failures == [.unavailable])
    #expect(registry.problem == "answers 403: Permission denied: token lacks permission")
  }

  @Test func `a question may be waited for longer than Consul waits`() {
    var registry = Self.registry()
    registry.answer(Self.one, fields: Self.index("12"))
    registry.wake()

    registry.pass(.seconds(260))
    #expect(registry.failures == [])
    registry.wake()
    #expect(registry.failures == [.unavailable])
    #expect(registry.problem == "does not answer within 315 s")
  }
}
