import Testing
import Units

@testable import Upstream

/// EndpointSlices of a Kubernetes service: a list in pages, then a watch.
@Suite struct KubernetesSpeakerTests {
  private static func endpoint(
    _ address: String,
    _ conditions: String? = "\"ready\":true,\"serving\":true,\"terminating\":false",
    zone: String? = nil
  ) -> String {
    let conditions = conditions.map { ",\"conditions\":{\($0)}" } ?? ""
    let zone = zone.map { ",\"zone\":\"\($0)\"" } ?? ""
    return "{\"addresses\":[\"\(address)\",\"10.255.255.255\"]\(conditions)\(zone)}"
  }

  private static let http = "{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}"

  private static func slice(
    _ name: String,
    _ endpoints: [String],
    ports: String = http,
    version: Int = 9,
    uid: String? = nil,
    type: String = "IPv4"
  ) -> String {
    "{\"addressType\":\"\(type)\",\"metadata\":{\"name\":\"\(name)\",\"uid\":\"\(uid ?? name)\","
      + "\"resourceVersion\":\"\(version)\"},\"endpoints\":[\(endpoints.joined(separator: ","))],"
      + "\"ports\":[\(ports)]}"
  }

  private static func list(_ slices: [String], version: String = "9", next: String = "") -> String {
    "{\"kind\":\"EndpointSliceList\",\"metadata\":{\"resourceVersion\":\"\(version)\","
      + "\"continue\":\"\(next)\"},\"items\":[\(slices.joined(separator: ","))]}"
  }

  private static func event(_ type: String, _ object: String) -> String {
    "{\"type\":\"\(type)\",\"object\":\(object)}"
  }

  private static func registry(
    _ port: RegistryQuestion.Port? = .name("http"),
    most: Int = 8
  ) -> WatchedRegistry {
    WatchedRegistry(.kubernetes(namespace: "shop", name: "catalog", port: port), most: most)
  }

  /// One that has listed `a` and `b` and hears changes.
  private static func watching() -> WatchedRegistry {
    var registry = registry()
    registry.answer(list([slice("a", [endpoint("10.0.0.1")]), slice("b", [endpoint("10.0.0.2")])]))
    registry.open()
    return registry
  }

  private static let path =
    "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
    + "?labelSelector=kubernetes.io%2Fservice-name%3Dcatalog"

  @Test func `slices are listed page by page, then watched from the list's version`() {
    var registry = Self.registry()
    #expect(registry.request?.target == "\(Self.path)&limit=500")
    #expect(registry.request?.isStream == false)

    registry.answer(Self.list([Self.slice("a", [Self.endpoint("10.0.0.1")])], next: "x/y="))
    #expect(registry.lists == [])
    #expect(registry.request?.target == "\(Self.path)&limit=500&continue=x%2Fy%3D")
    registry.answer(Self.list([Self.slice("b", [Self.endpoint("10.0.0.2")])], version: "12"))

    #expect(registry.hosts == ["10.0.0.1:8080", "10.0.0.2:8080"])
    #expect(
      registry.request?.target
        == "\(Self.path)&watch=1&allowWatchBookmarks=true&timeoutSeconds=570&resourceVersion=12"
    )
    #expect(registry.request?.isStream == true)
  }

  @Test func `a list that goes on for ever is not one`() {
    var registry = Self.registry()
    var pages = 0
    while registry.failures.isEmpty, pages < 1_000 {
      pages += 1
      registry.answer(Self.list([Self.slice("a", [Self.endpoint("10.0.0.1")])], next: "\(pages)"))
    }

    #expect(pages == 256)
    #expect(registry.failures == [.invalid])
    #expect(registry.request == nil)
  }

  @Test func `endpoints come and go with their slices`() {
    var registry = Self.watching()

    registry.say(Self.event("ADDED", Self.slice("c", [Self.endpoint("10.0.0.3")], version: 10)))
    #expect(registry.hosts == ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"])
    registry.say(
      Self.event("MODIFIED", Self.slice("a", [Self.endpoint("10.0.0.4")], version: 11))
    )
    registry.say(Self.event("DELETED", Self.slice("b", [Self.endpoint("10.0.0.2")], version: 12)))

    #expect(registry.hosts == ["10.0.0.4:8080", "10.0.0.3:8080"])
    #expect(registry.resyncs == [] && registry.failures == [])
  }

  @Test func `a watch that ends goes on from the version of the last bookmark`() {
    var registry = Self.watching()
    registry.pass(.seconds(60))
    registry.say(
      Self.event("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"77\"}}")
    )

    registry.hear(.end)

    #expect(registry.request == nil)
    registry.wake()
    #expect(registry.request?.target.hasSuffix("&resourceVersion=77") == true)
    #expect(registry.lists.count == 1)
    #expect(registry.failures == [])
    registry.open()
    registry.say(
      Self.event("DELETED", Self.slice("a", [Self.endpoint("10.0.0.1")], version: 78))
    )
    #expect(registry.hosts == ["10.0.0.2:8080"])
  }

  @Test func `a version that is gone asks for the whole list, however it is said`() {
    var registry = Self.watching()
    registry.say(
      Self.event("ERROR", "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}")
    )
    #expect(registry.resyncs == [.historyGone])
    registry.wake()
    #expect(registry.request?.target == "\(Self.path)&limit=500")

    registry.answer(Self.list([Self.slice("a", [Self.endpoint("10.0.0.1")])]))
    registry.answer("{\"kind\":\"Status\",\"code\":410}", status: 410)
    #expect(registry.resyncs == [.historyGone, .historyGone])
    registry.wake()
    #expect(registry.request?.target == "\(Self.path)&limit=500")

    // The place of the next page, too.
    registry.answer(Self.list([Self.slice("a", [Self.endpoint("10.0.0.1")])], next: "x"))
    registry.answer("{\"kind\":\"Status\",\"code\":410}", status: 410)
    registry.wake()
    #expect(registry.request?.target == "\(Self.path)&limit=500")
    #expect(registry.failures == [])
  }

  @Test(arguments: [
    event("ADDED", slice("a", [endpoint("10.0.0.9")])),
    event("MODIFIED", slice("c", [endpoint("10.0.0.9")])),
    event("MODIFIED", slice("a", [endpoint("10.0.0.9")], uid: "another")),
    event("DELETED", slice("c", [])),
  ])
  func `a change that does not fit what is known asks for the whole list`(_ message: String) {
    var registry = Self.watching()

    registry.say(message)

    #expect(registry.resyncs == [.lostChanges])
    #expect(registry.lists.count == 1)
    registry.wake()
    #expect(registry.request?.target == "\(Self.path)&limit=500")
  }

  @Test(arguments: [
    "{", "[]", "{}", event("ADDED", "{}"), event("ADDED", slice("", [])),
    event("NEWS", slice("c", [])), event("BOOKMARK", "{\"metadata\":{}}"),
    event(
      "BOOKMARK",
      "{\"metadata\":{\"resourceVersion\":\"\(String(repeating: "9", count: 200))\"}}"
    ),
  ])
  func `nonsense in a watch is a failure, and a list follows`(_ message: String) {
    var registry = Self.watching()

    registry.say(message)

    #expect(registry.failures == [.invalid])
    #expect(registry.lists.count == 1)
    registry.wake()
    #expect(registry.request?.target == "\(Self.path)&limit=500")
  }

  @Test func `a watch that fails says why`() {
    var registry = Self.watching()

    registry.say(Self.event("ERROR", "{\"code\":500,\"message\":\"etcd is away\"}"))

    #expect(registry.failures == [.unavailable])
    #expect(registry.problem == "the watch fails: etcd is away")
  }

  @Test func `who is ready is served, who leaves only while nobody is, who is neither never`() {
    let leaving = "\"ready\":false,\"serving\":true,\"terminating\":true"
    let away = "\"ready\":false,\"serving\":false,\"terminating\":true"
    var registry = Self.registry()
    registry.answer(
      Self.list([
        Self.slice(
          "a",
          [
            Self.endpoint("10.0.0.1"), Self.endpoint("10.0.0.2", nil),
            Self.endpoint("10.0.0.3", ""), Self.endpoint("10.0.0.4", leaving),
            Self.endpoint("10.0.0.5", away),
            Self.endpoint("10.0.0.6", "\"ready\":false"),
            Self.endpoint("10.0.0.7", "\"ready\":true,\"terminating\":true"),
          ]
        )
      ])
    )
    #expect(registry.hosts == ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"])
    registry.open()

    registry.say(
      Self.event(
        "MODIFIED",
        Self.slice("a", [Self.endpoint("10.0.0.4", leaving), Self.endpoint("10.0.0.5", away)])
      )
    )

    #expect(registry.hosts == ["10.0.0.4:8080"])
  }

  @Test func `zones, both families and names are carried`() {
    var registry = Self.registry()
    registry.answer(
      Self.list([
        Self.slice("a", [Self.endpoint("10.0.0.1", zone: "eu-1a")]),
        Self.slice("b", [Self.endpoint("fd00::1", zone: "eu 1b")], type: "IPv6"),
        Self.slice("c", [Self.endpoint("c.test")], type: "FQDN"),
      ])
    )

    #expect(
      registry.lists.last?.endpoints == [
        ListedEndpoint(.host("10.0.0.1", port: 8_080), zone: "eu-1a"),
        ListedEndpoint(.host("fd00::1", port: 8_080)),
        ListedEndpoint(.host("c.test", port: 8_080)),
      ]
    )
  }

  @Test(arguments: [
    (RegistryQuestion.Port.name("http"), 8_080 as Int?), (.name("grpc"), 9_090),
    (.name("dns"), nil), (.name("none"), nil), (.number(9_090), 9_090), (.number(1), nil),
    (nil, nil),
  ])
  func `the port is the one of that name or number, or the only one`(
    _ wanted: RegistryQuestion.Port?,
    _ found: Int?
  ) {
    let ports =
      "\(Self.http),{\"name\":\"grpc\",\"port\":9090},{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"}"
    var registry = Self.registry(wanted)

    registry.answer(Self.list([Self.slice("a", [Self.endpoint("10.0.0.1")], ports: ports)]))

    #expect(registry.hosts == (found.map { ["10.0.0.1:\($0)"] } ?? []))
    #expect(registry.failures == (found == nil ? [.invalid] : []))
    guard wanted == nil else { return }
    var other = Self.registry(nil)
    other.answer(
      Self.list([Self.slice("a", [Self.endpoint("10.0.0.1")], ports: "{\"name\":\"\",\"port\":1}")])
    )
    #expect(other.hosts == ["10.0.0.1:1"])
  }

  @Test func `slices and endpoints of no use are left out and named`() {
    var registry = Self.registry()
    registry.answer(
      Self.list([
        Self.slice("a", [Self.endpoint("10.0.0.1"), "{}", Self.endpoint("evil.test")]),
        Self.slice("b", [Self.endpoint("10.0.0.2")], ports: ""),
        Self.slice("c", [], ports: ""),
        Self.slice("d", [Self.endpoint("10.0.0.3")], ports: "{\"name\":\"http\"}"),
      ])
    )

    #expect(registry.hosts == ["10.0.0.1:8080"])
    #expect(
      registry.lists.last?.remark
        == EndpointList.Remark(
          count: 4,
          words: "a: has an endpoint without an address (and 3 more)"
        )
    )
  }

  @Test(arguments: [
    "", "[]", "{}", "{\"items\":[]}", "{\"metadata\":{\"resourceVersion\":\"\"},\"items\":[]}",
    list(["{}"]), list(["1"]), list([], next: "x"),
    list([slice("a", [])], next: String(repeating: "x", count: 5_000)),
  ])
  func `an answer of no sense is a failure`(_ text: String) {
    var registry = Self.registry()

    registry.answer(text)

    #expect(registry.failures == [.invalid])
    #expect(registry.lists == [])
  }

  @Test func `a service without a pod is an empty list, which is for others to refuse`() {
    var registry = Self.registry()
    registry.answer(Self.list([Self.slice("a", [], ports: "")]))

    #expect(registry.lists == [RegistryList([])])
    #expect(registry.request?.isStream == true)
  }

  @Test func `more slices or endpoints than there may be are refused, listed or heard`() {
    let three = (0..<3).map { Self.endpoint("10.0.0.\($0)") }
    var registry = Self.registry(most: 2)
    registry.answer(Self.list([Self.slice("a", three)]))
    #expect(registry.failures == [.tooMany])

    registry = Self.registry(most: 2)
    registry.answer(Self.list((0..<3).map { Self.slice("\($0)", []) }))
    #expect(registry.failures == [.tooMany])

    registry = Self.registry(most: 2)
    registry.answer(Self.list([Self.slice("a", Array(three.prefix(2)))]))
    registry.open()
    registry.say(Self.event("ADDED", Self.slice("b", [three[2]])))
    #expect(registry.failures == [.tooMany])
    #expect(registry.lists.count == 1)
  }

  @Test func `a refusal is told in the registry's words`() {
    var registry = Self.registry()

    registry.answer(
      "{\"kind\":\"Status\",\"message\":\"endpointslices is forbidden\",\"code\":403}",
      status: 403
    )

    #expect(registry.problem == "answers 403: endpointslices is forbidden")
    #expect(registry.failures == [.unavailable])
  }
}
