import Foundation
import Testing

extension WireTests {
  /// A service whose endpoints are keys of a real etcd.
  @Suite(
    .serialized,
    .enabled(if: EtcdServer.isInstalled, "etcd is not installed: apt-get install etcd-server")
  )
  struct EtcdDiscoveryTests {
    /// Plays with two services, and ends with a configuration in which nobody asks etcd.
    private static func play(
      _ backend: Backend,
      _ etcd: EtcdServer,
      workers: Int = 1,
      _ play: (Scene, ScriptedUpstream, ScriptedUpstream) throws -> Void
    ) throws {
      let (first, second) = (try RegistryScene.named("first"), try RegistryScene.named("second"))
      var settings = EdgeSettings()
      settings.workers = workers
      settings.discovery = "etcd: {service: etcd, prefix: /shop/}"
      settings.services = ["name: etcd, endpoints: [\"\(etcd.endpoint)\"]"]
      try Scene.play(backend, first, second, settings: settings.withoutAdmission) { scene in
        try play(scene, first, second)
        try scene.reload { settings in
          settings.discovery = ""
          settings.endpoints = [first.endpoint]
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `endpoints join, change and leave as keys of a real etcd do`(backend: Backend) throws {
      let etcd = try EtcdServer()
      try Self.play(backend, etcd, workers: 2) { scene, first, second in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").status == 503)

        try etcd.put("/shop/a", first.endpoint)
        try etcd.put("/other/a", "127.0.0.1:1")
        try eventually("the first one serves") { try client.exchange("GET", "/").text == "first" }
        try eventually("it is up") { try scene.metric(RegistryScene.metric("up")) == 1 }
        let value = #"{"address":"\#(second.endpoint)","weight":3,"zone":"eu-1b"}"#
        try etcd.put("/shop/b", value)
        try eventually("the second one is asked") {
          try client.exchange("GET", "/").text == "second"
        }
        let told = try scene.admin("/admin/services").text
        #expect(told.contains("\"source\":\"etcd\",\"from\":\"/shop/ at etcd\",\"isUp\":true"))
        #expect(told.contains("\"zones\":{\"eu-1b\":1}"))
        // The report follows what is served.
        try eventually("its weight is told") {
          try scene.admin("/admin/services").text.contains("\"weight\":3")
        }

        // A value of no use takes its own endpoint away and no other.
        try etcd.put("/shop/a", "nonsense")
        try eventually("nothing is kept of the first") { first.openConnections == 0 }
        #expect(try client.exchange("GET", "/").text == "second")
        #expect(try scene.metric(RegistryScene.metric("invalid_entries")) == 1)
        try etcd.delete("/shop/a")
        try eventually("it is whole") {
          try scene.metric(RegistryScene.metric("invalid_entries")) == 0
        }

        // Nobody left: the last list stands.
        let empty = RegistryScene.metric("failures_total", ",reason=\"empty\"")
        let before = try scene.metric(empty)
        try etcd.delete("/shop/b")
        try eventually("it is empty") { try scene.metric(empty) == before + 1 }
        #expect(try scene.metric(RegistryScene.metric("up")) == 0)
        #expect(try client.exchange("GET", "/").text == "second")

        try etcd.put("/shop/c", first.endpoint)
        try eventually("it serves again") { try client.exchange("GET", "/").text == "first" }
        #expect(try scene.metric(RegistryScene.metric("up")) == 1)
        // Nothing of this had to be asked for anew.
        #expect(try scene.metric(RegistryScene.metric("resyncs_total")) == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an etcd that is away keeps the list, and what changed meanwhile is found`(
      backend: Backend
    ) throws {
      let etcd = try EtcdServer()
      try etcd.put("/shop/a", "nonsense")
      try Self.play(backend, etcd) { scene, first, second in
        let client = try scene.client()
        try etcd.put("/shop/b", first.endpoint)
        try eventually("the first one serves") { try client.exchange("GET", "/").text == "first" }

        etcd.stop()
        try eventually("it is missed", within: .seconds(60)) {
          try scene.metric(RegistryScene.metric("failures_total", ",reason=\"unavailable\"")) >= 1
        }
        #expect(try scene.metric(RegistryScene.metric("up")) == 0)
        for _ in 0..<5 { #expect(try client.exchange("GET", "/").text == "first") }

        try etcd.start()
        try etcd.put("/shop/a", second.endpoint)
        try etcd.delete("/shop/b")
        try eventually("what changed is served", within: .seconds(120)) {
          try client.exchange("GET", "/").text == "second"
        }
        try eventually("it is up") { try scene.metric(RegistryScene.metric("up")) == 1 }
        #expect(try scene.metric(RegistryScene.metric("invalid_entries")) == 0)
      }
    }
  }
}
