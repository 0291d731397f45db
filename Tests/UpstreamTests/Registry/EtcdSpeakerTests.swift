import Testing
import Units

@testable import Upstream

/// Endpoints below a prefix of etcd's keys; the messages are those of etcd 3.4.23.
@Suite struct EtcdSpeakerTests {
  private static let cluster = "15875391935852295136"

  private static func header(_ revision: Int, cluster: String = Self.cluster) -> String {
    "\"header\":{\"cluster_id\":\"\(cluster)\",\"member_id\":\"7\",\"revision\":\"\(revision)\"}"
  }

  private static func kv(
    _ key: String,
    _ value: String,
    created: Int = 2,
    changed: Int = 2,
    version: Int = 1
  ) -> String {
    let (key, value) = (Base64.encode(Array(key.utf8)), Base64.encode(Array(value.utf8)))
    return "{\"key\":\"\(key)\",\"create_revision\":\"\(created)\",\"mod_revision\":\"\(changed)\","
      + "\"version\":\"\(version)\",\"value\":\"\(value)\"}"
  }

  private static func range(_ keys: [String], revision: Int = 5) -> String {
    "{\(header(revision)),\"kvs\":[\(keys.joined(separator: ","))],\"count\":\"\(keys.count)\"}"
  }

  private static func put(
    _ key: String,
    _ value: String,
    created: Int,
    changed: Int,
    version: Int
  ) -> String {
    let kv = kv(key, value, created: created, changed: changed, version: version)
    return "{\"result\":{\(header(changed)),\"events\":[{\"kv\":\(kv)}]}}"
  }

  private static func delete(_ key: String, changed: Int) -> String {
    let key = Base64.encode(Array(key.utf8))
    return "{\"result\":{\(header(changed)),\"events\":[{\"type\":\"DELETE\","
      + "\"kv\":{\"key\":\"\(key)\",\"mod_revision\":\"\(changed)\"}}]}}"
  }

  @Test func `keys that grow without end are refused, also one by one in a watch`() {
    var registry = Self.watching()
    let long = String(repeating: "k", count: 800)

    registry.say(Self.put("/s/\(long)", "10.0.0.3:80", created: 6, changed: 6, version: 1))
    #expect(registry.failures.isEmpty)
    registry.say(Self.put("/s/\(long)2", "10.0.0.4:80", created: 7, changed: 7, version: 1))

    #expect(registry.failures == [.tooMany])
    #expect(registry.problem.contains("bytes"))
  }

  private static func registry(_ most: Int = 8) -> WatchedRegistry {
    WatchedRegistry(.etcd(prefix: "/s/"), most: most)
  }

  /// One that has listed `a` and `b` and hears changes.
  private static func watching() -> WatchedRegistry {
    var registry = registry()
    registry.answer(
      range([kv("/s/a", "10.0.0.1:80"), kv("/s/b", "10.0.0.2:80", changed: 4, version: 3)])
    )
    registry.open()
    registry.say("{\"result\":{\(header(5)),\"created\":true}}")
    return registry
  }

  @Test func `a prefix is listed, then watched from the next revision`() {
    var registry = Self.registry()
    #expect(registry.request?.target == "/v3/kv/range")
    #expect(registry.request?.method == "POST")
    #expect(registry.request?.isStream == false)
    #expect(registry.body == "{\"key\":\"L3Mv\",\"range_end\":\"L3Mw\",\"limit\":\"9\"}")

    registry.answer(Self.range([Self.kv("/s/a", "10.0.0.1:80")], revision: 41))

    #expect(registry.hosts == ["10.0.0.1:80"])
    #expect(registry.request?.target == "/v3/watch")
    #expect(registry.request?.isStream == true)
    #expect(
      registry.body == "{\"create_request\":{\"key\":\"L3Mv\",\"range_end\":\"L3Mw\","
        + "\"start_revision\":\"42\",\"progress_notify\":true}}"
    )
  }

  @Test func `the end of a prefix is the first key behind it`() {
    #expect(EtcdSpeaker.end(of: [0x61]) == [0x62])
    #expect(EtcdSpeaker.end(of: [0x61, 0xFF]) == [0x62])
    #expect(EtcdSpeaker.end(of: [0xFF, 0xFF]) == [0])
  }

  @Test func `endpoints join, change and leave as keys do`() {
    var registry = Self.watching()

    registry.say(Self.put("/s/c", "10.0.0.3:80", created: 6, changed: 6, version: 1))
    #expect(registry.hosts == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"])
    registry.say(Self.put("/s/b", "[fd00::2]:81", created: 2, changed: 7, version: 4))
    #expect(registry.hosts == ["10.0.0.1:80", "fd00::2:81", "10.0.0.3:80"])
    registry.say(Self.delete("/s/a", changed: 8))
    #expect(registry.hosts == ["fd00::2:81", "10.0.0.3:80"])
    registry.say(Self.put("/s/a", "10.0.0.4:80", created: 9, changed: 9, version: 1))

    #expect(registry.hosts == ["10.0.0.4:80", "fd00::2:81", "10.0.0.3:80"])
    #expect(registry.resyncs == [] && registry.failures == [])
    #expect(registry.request?.target == "/v3/watch")
  }

  @Test func `what is said at the beginning of a watch may be ahead of its changes`() {
    var registry = Self.registry()
    registry.answer(Self.range([Self.kv("/s/a", "10.0.0.1:80")]))
    registry.open()

    registry.say("{\"result\":{\(Self.header(9)),\"created\":true}}")
    registry.say(Self.put("/s/b", "10.0.0.2:80", created: 6, changed: 6, version: 1))

    #expect(registry.hosts == ["10.0.0.1:80", "10.0.0.2:80"])
    #expect(registry.resyncs == [])
  }

  @Test func `a value may say weight, priority and zone, and a key is a name only`() {
    var registry = Self.registry()
    let value = #" {"address":"10.0.0.1:80","weight":2,"zone":"a","priority":1,"more":[{}]} "#

    registry.answer(
      Self.range([Self.kv("/s/10.0.0.9:99", value), Self.kv("/s/x", " a.test:81\n")])
    )

    #expect(
      registry.lists.last?.endpoints == [
        ListedEndpoint(.host("10.0.0.1", port: 80), weight: 2, priority: 1, zone: "a"),
        ListedEndpoint(.host("a.test", port: 81)),
      ]
    )
  }

  @Test(arguments: [
    "", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:99999", "nonsense", "{", "{}", "[]", "\u{0}",
    #"{"address":80}"#, #"{"address":"10.0.0.2:80","weight":0}"#,
    #"{"address":"10.0.0.2:80","weight":1001}"#, #"{"address":"10.0.0.2:80","weight":"2"}"#,
    #"{"address":"10.0.0.2:80","priority":8}"#, #"{"address":"10.0.0.2:80","priority":-1}"#,
  ])
  func `a value of no use is left out and named, the others count`(_ value: String) throws {
    var registry = Self.registry()

    registry.answer(
      Self.range([Self.kv("/s/a", "10.0.0.1:80"), Self.kv("/s/bad", value), Self.kv("/s/c", value)])
    )

    #expect(registry.hosts == ["10.0.0.1:80"])
    let remark = try #require(registry.lists.last?.remark)
    #expect(remark.count == 2)
    #expect(remark.words.hasPrefix("/s/bad: ") && remark.words.hasSuffix("(and 1 more)"))
    // Where nothing is of use the list before stands.
    registry.open()
    registry.pass(.seconds(400))
    registry.answer(Self.range([Self.kv("/s/bad", value)]))
    #expect(registry.failures == [.invalid])
    #expect(registry.lists.count == 1)
    // It is heard when it gets better.
    registry.open()
    registry.say(Self.put("/s/bad", "10.0.0.7:80", created: 2, changed: 6, version: 2))
    #expect(registry.hosts == ["10.0.0.7:80"])
  }

  @Test func `bytes that are no text are no address`() {
    var registry = Self.registry()
    let kv =
      "{\"key\":\"\(Base64.encode(Array("/s/".utf8) + [0xFF]))\",\"create_revision\":\"2\","
      + "\"mod_revision\":\"2\",\"version\":\"1\",\"value\":\"\(Base64.encode([0xFF, 0x3A, 0x38]))\"}"

    registry.answer(Self.range([Self.kv("/s/a", "10.0.0.1:80"), kv]))

    #expect(registry.hosts == ["10.0.0.1:80"])
    #expect(registry.lists.last?.remark?.count == 1)
  }

  @Test func `a watch that is compacted asks for the whole list`() {
    var registry = Self.watching()
    registry.pass(.seconds(20))

    registry.say("{\"result\":{\"header\":{},\"canceled\":true,\"compact_revision\":\"90\"}}")

    #expect(registry.resyncs == [.historyGone])
    #expect(registry.failures == [])
    #expect(registry.request == nil)
    registry.wake()
    #expect(registry.request?.target == "/v3/kv/range")
    registry.answer(Self.range([Self.kv("/s/z", "10.0.0.26:80", created: 95)], revision: 99))
    #expect(registry.hosts == ["10.0.0.26:80"])
    #expect(registry.body.contains("\"start_revision\":\"100\""))
  }

  @Test(arguments: [
    // A change of b was not heard: its version goes on by two.
    put("/s/b", "10.0.0.9:80", created: 2, changed: 9, version: 5),
    // It was deleted and made anew.
    put("/s/b", "10.0.0.9:80", created: 8, changed: 9, version: 1),
    // One that is new has versions already.
    put("/s/c", "10.0.0.9:80", created: 6, changed: 9, version: 2),
    delete("/s/c", changed: 9),
    // The past.
    put("/s/b", "10.0.0.9:80", created: 2, changed: 5, version: 4),
    "{\"result\":{\(header(4))}}",
    // Others.
    "{\"result\":{\(header(9, cluster: "8"))}}",
  ])
  func `a change that does not fit what is known asks for the whole list`(_ message: String) {
    var registry = Self.watching()

    registry.say(message)

    #expect(registry.resyncs == [.lostChanges])
    #expect(registry.lists.count == 1)
    registry.wake()
    #expect(registry.request?.target == "/v3/kv/range")
  }

  @Test(arguments: [
    "{", "[]", "{}", "{\"result\":{\(header(9)),\"events\":[{}]}}",
    put("/other/a", "10.0.0.1:80", created: 6, changed: 6, version: 1),
    "{\"result\":{\(header(9)),\"events\":[{\"kv\":{\"key\":\"%%%%\"}}]}}",
  ])
  func `nonsense in a watch is a failure, and a list follows`(_ message: String) {
    var registry = Self.watching()

    registry.say(message)

    #expect(registry.failures == [.invalid])
    #expect(registry.lists.count == 1)
    registry.wake()
    #expect(registry.request?.target == "/v3/kv/range")
  }

  @Test func `a watch that fails says why`() {
    var registry = Self.watching()
    registry.say("{\"error\":{\"grpc_code\":14,\"message\":\"no leader\"}}")
    #expect(registry.failures == [.unavailable])
    #expect(registry.problem == "the watch fails: no leader")

    registry = Self.watching()
    registry.say(
      "{\"result\":{\(Self.header(5)),\"canceled\":true,\"cancel_reason\":\"permission denied\"}}"
    )
    #expect(registry.problem == "the watch is cancelled: permission denied")
  }

  @Test(arguments: [
    "", "{}", "[]", "nonsense", "{\"header\":{\"revision\":\"0\"}}",
    "{\"header\":{\"revision\":\"x\"}}",
    range([kv("/s/a", "10.0.0.1:80"), kv("/t/a", "10.0.0.1:80")]),
    range(["{}"]), range([kv("/s/a", "x:1", version: 0)]),
    "{\(header(5)),\"kvs\":[{\"key\":\"L3MvYQ==\",\"value\":\"*\"}]}",
  ])
  func `an answer of no sense is a failure`(_ text: String) {
    var registry = Self.registry()

    registry.answer(text)

    #expect(registry.failures == [.invalid])
    #expect(registry.lists == [])
    #expect(registry.request == nil)
  }

  @Test func `an empty prefix is an empty list, which is for others to refuse`() {
    var registry = Self.registry()

    registry.answer("{\(Self.header(5))}")

    #expect(registry.lists == [RegistryList([])])
    #expect(registry.request?.target == "/v3/watch")
  }

  @Test func `more keys than there may be are refused, listed or heard`() {
    let keys = (0..<3).map { Self.kv("/s/\($0)", "10.0.0.\($0):80") }
    var registry = Self.registry(2)
    registry.answer(Self.range(keys))
    #expect(registry.failures == [.tooMany])

    registry = Self.registry(2)
    registry.answer("{\(Self.header(5)),\"kvs\":[\(keys[0])],\"more\":true,\"count\":\"9\"}")
    #expect(registry.failures == [.tooMany])

    registry = Self.registry(2)
    registry.answer(Self.range(Array(keys.prefix(2))))
    registry.open()
    registry.say(Self.put("/s/x", "10.0.0.9:80", created: 6, changed: 6, version: 1))
    #expect(registry.failures == [.tooMany])
    #expect(registry.lists.count == 1)
  }

  @Test func `a refusal is told in the registry's words`() {
    var registry = Self.registry()
    registry.answer("{\"error\":\"e\",\"message\":\"invalid auth token\",\"code\":16}", status: 401)
    #expect(registry.problem == "answers 401: invalid auth token")
    registry.wake()
    registry.answer("Not Found\n", status: 404)
    #expect(registry.problem == "answers 404: Not Found")
    registry.wake()
    registry.answer(String(repeating: "x", count: 100_000), status: 500)
    #expect(registry.problem == "answers 500")
    #expect(registry.failures == [.unavailable, .unavailable, .unavailable])
  }
}
