import Edge
import Foundation
import Testing

extension WireTests {
  /// Services whose endpoints are found in Consul and Kubernetes, as their protocols were recorded.
  struct RecordedRegistryTests {
    /// Plays with two services and a registry, and ends with a configuration in which nobody asks it.
    ///
    /// `place`: How the registry itself is found, by its address unless stated.
    private static func play(
      _ backend: Backend,
      _ discovery: String,
      _ registry: RegistryFixture,
      at place: String? = nil,
      _ first: ScriptedUpstream,
      _ second: ScriptedUpstream,
      _ play: (Scene) throws -> Void
    ) throws {
      defer { registry.end() }
      var settings = EdgeSettings()
      settings.discovery = discovery
      let place = place ?? "endpoints: [\"\(registry.endpoint)\"]"
      settings.services = ["name: registry, \(place)"]
      try Scene.play(
        backend,
        first,
        second,
        registry.upstream,
        settings: settings.withoutAdmission
      ) { scene in
        defer { registry.end() }
        try play(scene)
        registry.end()
        try scene.reload { settings in
          settings.discovery = ""
          settings.endpoints = [first.endpoint]
        }
      }
    }

    private static func instances(_ upstreams: ScriptedUpstream...) -> String {
      let items = upstreams.map { upstream in
        "{\"Node\":{\"Node\":\"n\",\"Address\":\"127.0.0.1\",\"Datacenter\":\"dc1\"},"
          + "\"Service\":{\"ID\":\"shop-\(upstream.port)\",\"Service\":\"shop\",\"Tags\":[\"v2\"],"
          + "\"Address\":\"\",\"Port\":\(upstream.port),\"Weights\":{\"Passing\":7,\"Warning\":1}},"
          + "\"Checks\":[{\"CheckID\":\"serfHealth\",\"Status\":\"passing\"}]}"
      }
      return "[\(items.joined(separator: ","))]"
    }

    /// A start that asked it before its own endpoints are known would fail, and say so.
    @Test(arguments: Backend.allCases)
    func `a registry that is found by a file is asked at the start (recorded protocol)`(
      backend: Backend
    ) throws {
      let (first, second) = (try RegistryScene.named("first"), try RegistryScene.named("second"))
      let registry = try RegistryFixture.consul(Self.instances(first))
      let file = try ListFile([registry.endpoint])
      try Self.play(
        backend,
        "consul: {service: registry, name: shop}",
        registry,
        at: "discovery: {\(file.discovery)}",
        first,
        second
      ) { scene in
        let client = try scene.client()
        try eventually("it serves") { try client.exchange("GET", "/").text == "first" }
        #expect(
          try scene.metric(RegistryScene.metric("failures_total", ",reason=\"unavailable\"")) == 0
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `Consul's passing instances come and go (recorded protocol)`(backend: Backend) throws {
      let token = "/tmp/spillway-token-\(getpid())-\(UInt32.random(in: 0 ... .max))"
      FileText.replace(token, with: "one\n")
      defer { unlink(token) }
      let (first, second) = (try RegistryScene.named("first"), try RegistryScene.named("second"))
      let registry = try RegistryFixture.consul(Self.instances(first))
      try Self.play(
        backend,
        "consul: {service: registry, name: shop, tag: v2, datacenter: dc1, tokenFile: \"\(token)\"}",
        registry,
        first,
        second
      ) { scene in
        let client = try scene.client()
        try eventually("the first one serves") { try client.exchange("GET", "/").text == "first" }
        #expect(registry.targets[0] == "/v1/health/service/shop?passing=1&tag=v2&dc=dc1")
        try eventually("the next question waits") { registry.targets.count == 2 }
        #expect(registry.targets[1].hasSuffix("&index=10&wait=240s"))
        #expect(registry.upstream.requests.allSatisfy { $0["x-consul-token"] == "one" })
        try eventually("its weight is told") {
          try scene.admin("/admin/services").text.contains("\"weight\":7")
        }

        FileText.replace(token, with: "two\n")
        registry.set { state in
          state.list = Self.instances(second)
          state.index = 11
        }
        try eventually("the second one serves") { try client.exchange("GET", "/").text == "second" }
        try eventually("nothing is kept of the first") { first.openConnections == 0 }
        try eventually("the token is read anew") {
          registry.upstream.requests.last?["x-consul-token"] == "two"
        }

        // It lost its data: the index begins anew, and nobody is listed.
        registry.set { state in
          state.list = "[]"
          state.index = 3
        }
        try eventually("it is empty") {
          try scene.metric(RegistryScene.metric("failures_total", ",reason=\"empty\"")) == 1
        }
        try eventually("its index is told to begin anew") {
          try scene.metric(RegistryScene.metric("resyncs_total", ",reason=\"index-reset\"")) == 1
        }
        #expect(try client.exchange("GET", "/").text == "second")
        registry.set { state in
          state.status = 500
          state.list = "No cluster leader"
          state.index = 4
        }
        try eventually("it is told in its words") {
          try scene.admin("/admin/services").text.contains("answers 500: No cluster leader")
        }
        #expect(try client.exchange("GET", "/").text == "second")
        #expect(try scene.metric(RegistryScene.metric("up")) == 0)

        registry.set { state in
          state.status = 200
          state.list = "[" + String(repeating: "[", count: 100_000)
        }
        try eventually("nonsense is counted") {
          try scene.metric(RegistryScene.metric("failures_total", ",reason=\"invalid\"")) >= 1
        }
        #expect(try client.exchange("GET", "/").text == "second")
        registry.set { $0.list = Self.instances(first) }
        try eventually("it serves again", within: .seconds(60)) {
          try client.exchange("GET", "/").text == "first"
        }
      }
    }

    private static func slice(
      _ name: String,
      _ upstream: ScriptedUpstream,
      version: Int = 10,
      ready: Bool = true
    ) -> String {
      "{\"addressType\":\"IPv4\",\"metadata\":{\"name\":\"\(name)\",\"uid\":\"\(name)\","
        + "\"resourceVersion\":\"\(version)\"},\"endpoints\":[{\"addresses\":[\"127.0.0.1\"],"
        + "\"conditions\":{\"ready\":\(ready),\"serving\":\(ready),\"terminating\":false},"
        + "\"zone\":\"eu-1a\"}],"
        + "\"ports\":[{\"name\":\"http\",\"port\":\(upstream.port),\"protocol\":\"TCP\"}]}"
    }

    private static func list(_ slices: String..., version: Int = 10) -> String {
      "{\"kind\":\"EndpointSliceList\",\"metadata\":{\"resourceVersion\":\"\(version)\"},"
        + "\"items\":[\(slices.joined(separator: ","))]}"
    }

    @Test(arguments: Backend.allCases)
    func `Kubernetes' slices are listed and watched (recorded protocol)`(
      backend: Backend
    ) throws {
      let token = "/tmp/spillway-token-\(getpid())-\(UInt32.random(in: 0 ... .max))"
      FileText.replace(token, with: "secret\n")
      defer { unlink(token) }
      let (first, second) = (try RegistryScene.named("first"), try RegistryScene.named("second"))
      let registry = try RegistryFixture.kubernetes(Self.list(Self.slice("one", first)))
      try Self.play(
        backend,
        "kubernetes: {service: registry, namespace: a, name: shop, port: http, tokenFile: \"\(token)\"}",
        registry,
        first,
        second
      ) { scene in
        let client = try scene.client()
        try eventually("the first one serves") { try client.exchange("GET", "/").text == "first" }
        #expect(registry.upstream.requests[0]["authorization"] == "Bearer secret")
        try eventually("it is watched") {
          registry.targets.last?.hasSuffix("&resourceVersion=10") == true
        }
        #expect(try scene.admin("/admin/services").text.contains("\"zones\":{\"eu-1a\":1}"))

        registry.set { state in
          state.events += [
            "{\"type\":\"ADDED\",\"object\":\(Self.slice("two", second, version: 11))}",
            "{\"type\":\"MODIFIED\",\"object\":"
              + "\(Self.slice("one", first, version: 12, ready: false))}",
          ]
        }
        try eventually("the second one serves") { try client.exchange("GET", "/").text == "second" }
        try eventually("nothing is kept of the first") { first.openConnections == 0 }

        // The version is gone: a whole list follows, and a watch from it.
        registry.set { state in
          state.list = Self.list(Self.slice("one", first), version: 20)
          state.events.append(
            "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}"
          )
        }
        try eventually("it is asked for anew") {
          try scene.metric(RegistryScene.metric("resyncs_total", ",reason=\"history-gone\"")) == 1
        }
        try eventually("the first one serves again") {
          try client.exchange("GET", "/").text == "first"
        }
        try eventually("it is watched from there") {
          registry.targets.last?.hasSuffix("&resourceVersion=20") == true
        }
        #expect(try scene.metric(RegistryScene.metric("failures_total")) == 0)
        #expect(try scene.metric(RegistryScene.metric("up")) == 1)
      }
    }
  }
}
