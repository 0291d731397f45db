import Edge
import Foundation
import Synchronization
import Testing
import Units

extension WireTests {
  /// A service whose endpoints are listed in a file that changes while it serves.
  struct DiscoveryFileTests {
    private static let changes = "spillway_discovery_changes_total{service=\"backend\"}"
    static let up = "spillway_discovery_up{service=\"backend\",source=\"file\"}"

    static func failures(_ reason: String) -> String {
      "spillway_discovery_failures_total{service=\"backend\",reason=\"\(reason)\"}"
    }

    static func settings(_ file: ListFile, workers: Int = 1) -> EdgeSettings {
      var settings = EdgeSettings()
      settings.discovery = file.discovery
      settings.workers = workers
      return settings.withoutAdmission
    }

    static func named(_ name: String) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in try peer.respond(200, name) }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that joins is asked, and those that stay keep their connections`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let file = try ListFile([first.endpoint])
      try Scene.play(backend, first, second, settings: Self.settings(file)) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").text == "first")
        try eventually("it is up") { try scene.metric(Self.up) == 1 }

        file.list([first.endpoint, second.endpoint])

        try eventually("the second one is asked") {
          try client.exchange("GET", "/").text == "second"
        }
        try eventually("the first one still is") {
          try client.exchange("GET", "/").text == "first"
        }
        #expect(first.acceptedConnections == 1)
        #expect(try scene.metric(Self.changes) == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that leaves finishes what it has and gets nothing more`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let first = try ScriptedUpstream.echoingTarget(behind: gate, at: "/slow")
      let second = try Self.named("second")
      let file = try ListFile([first.endpoint])
      try Scene.play(backend, first, second, settings: Self.settings(file)) { scene in
        let slow = try scene.client()
        try slow.request("GET", "/slow")
        try eventually("it is under way") { first.requests.count == 1 }
        // One of its connections is idle by then.
        #expect(try scene.client().exchange("GET", "/quick").text == "/quick")

        file.list([second.endpoint])
        let client = try scene.client()
        try eventually("the second one serves") {
          try client.exchange("GET", "/").text == "second"
        }
        try eventually("the idle connection is closed") { first.openConnections == 1 }
        let asked = first.requests.count
        for _ in 0..<20 { #expect(try client.exchange("GET", "/").text == "second") }
        gate.open()

        #expect(try slow.response().text == "/slow")
        #expect(first.requests.count == asked)
        try eventually("nothing is kept of it") { first.openConnections == 0 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `no request is lost while endpoints come and go under steady traffic`(
      backend: Backend
    ) throws {
      let upstreams = try ["a", "b", "c"].map(Self.named)
      let names = upstreams.map(\.endpoint)
      let file = try ListFile(names)
      let settings = Self.settings(file, workers: 2)
      try Scene.play(backend, upstreams[0], upstreams[1], upstreams[2], settings: settings) {
        scene in
        let port = try scene.edge.port("public")
        let isOver = Atomic(false)
        let served = Atomic(0)
        let failures = Locked<[String]>([])
        try concurrently(4) { _ in
          do {
            let client = try RawClient(port: port)
            defer { client.close() }
            while !isOver.load(ordering: .relaxed) {
              let answer = try client.exchange("GET", "/")
              if answer.status != 200 { failures.withLock { $0.append("\(answer.status)") } }
              served.add(1, ordering: .relaxed)
            }
          } catch {
            failures.withLock { $0.append("\(error)") }
          }
        } while: {
          defer { isOver.store(true, ordering: .relaxed) }
          for round in 0..<6 {
            let left = names[round % 3]
            file.list(names.filter { $0 != left })
            try eventually("the list is taken") {
              try scene.metric(Self.changes) >= Double(round + 2)
            }
            try eventually("its connections are closed") {
              upstreams[round % 3].openConnections == 0
            }
            let before = served.load(ordering: .relaxed)
            try eventually("traffic goes on") { served.load(ordering: .relaxed) > before + 20 }
          }
        }

        #expect(failures.withLock { $0 } == [])
        #expect(upstreams.allSatisfy { !$0.requests.isEmpty })
      }
    }

    @Test(arguments: Backend.allCases)
    func `a file that is bad, empty or gone keeps the last list and says so`(
      backend: Backend
    ) throws {
      let first = try Self.named("first")
      let second = try Self.named("second")
      let file = try ListFile([first.endpoint])
      try Scene.play(backend, first, second, settings: Self.settings(file)) { scene in
        let client = try scene.client()
        let updated = "spillway_discovery_updated_timestamp_seconds{service=\"backend\"}"
        try eventually("it is up") { try scene.metric(Self.up) == 1 }
        let heard = try scene.metric(updated)
        #expect(heard > 0)

        for (text, reason) in [
          ("endpoints: []\n", "empty"), ("endpoints: [{address: nonsense}]\n", "invalid"),
          ("{", "invalid"), ("", "invalid"),
          ("# " + String(repeating: "x", count: 2 << 20), "invalid"),
        ] {
          let before = try scene.metric(Self.failures(reason))
          file.write(text)
          try eventually("\(reason) is counted") {
            try scene.metric(Self.failures(reason)) == before + 1
          }
          #expect(try scene.metric(Self.up) == 0)
          #expect(try client.exchange("GET", "/").text == "first")
        }
        file.remove()
        try eventually("it is missed") { try scene.metric(Self.failures("unavailable")) == 1 }
        #expect(try client.exchange("GET", "/").text == "first")
        #expect(try scene.metric("spillway_discovery_endpoints{service=\"backend\"}") == 1)
        let told = try scene.admin("/admin/services?format=text").text
        #expect(told.contains("endpoints: 1 from file \(file.path), heard at "), "\(told)")
        #expect(told.contains("cannot be read: No such file or directory"), "\(told)")
        let service = try Self.explanation(scene)
        #expect(service["source"] as? String == "file")
        #expect(service["from"] as? String == file.path)
        #expect(service["isUp"] as? Bool == false)
        #expect((service["failures"] as? [String: Int])?["empty"] == 1)
        #expect((service["problem"] as? String)?.contains("No such file") == true)

        file.list([second.endpoint])
        try eventually("it is served again") {
          try client.exchange("GET", "/").text == "second"
        }
        #expect(try scene.metric(Self.up) == 1)
        #expect(try Self.explanation(scene)["problem"] == nil)
      }
    }

    private static func explanation(_ scene: Scene) throws -> [String: Any] {
      let services = try scene.explanation()["services"] as? [[String: Any]]
      return services?.first?["discovery"] as? [String: Any] ?? [:]
    }

    @Test(arguments: Backend.allCases)
    func `a folder swapped by its link is one change, as Kubernetes does with its maps`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let file = try ListFile()
      func publish(_ version: String, _ upstream: ScriptedUpstream) throws {
        let folder = "\(file.folder)/..\(version)"
        try FileManager.default.createDirectory(
          atPath: folder,
          withIntermediateDirectories: false
        )
        FileText.replace("\(folder)/endpoints.yaml", with: ListFile.text([upstream.endpoint]))
        symlink("..\(version)", "\(file.folder)/..data_tmp")
        rename("\(file.folder)/..data_tmp", "\(file.folder)/..data")
      }
      try publish("one", first)
      symlink("..data/endpoints.yaml", file.path)
      try Scene.play(backend, first, second, settings: Self.settings(file)) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").text == "first")

        try publish("two", second)
        try FileManager.default.removeItem(atPath: "\(file.folder)/..one")

        try eventually("the new one is served") {
          try client.exchange("GET", "/").text == "second"
        }
        #expect(try scene.metric(Self.changes) == 2)
        #expect(try scene.metric(Self.failures("unavailable")) == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a start without the file is served once it is there`(backend: Backend) throws {
      let file = try ListFile()
      try Scene.play(backend, try Self.named("first"), settings: Self.settings(file)) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").status == 503)
        #expect(try scene.metric(Self.up) == 0)

        file.list([scene.upstream.endpoint])

        try eventually("it is served") { try client.exchange("GET", "/").text == "first" }
      }
    }

    @Test(arguments: Backend.allCases)
    func `names of a file are resolved, and no list serves before it has an address`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let file = try ListFile([first.endpoint])
      let waiting = "spillway_discovery_waiting{service=\"backend\"}"
      try Scene.play(backend, first, second, settings: Self.settings(file)) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").text == "first")

        file.list(["nobody.invalid:80"])
        try eventually("it waits") { try scene.metric(waiting) == 1 }
        try eventually("it was looked up") {
          try scene.metric("spillway_dns_lookups_total{outcome=\"failed\"}") >= 1
        }
        #expect(try client.exchange("GET", "/").text == "first")

        file.list(["LocalHost:\(second.port)"])
        try eventually("it is served") {
          let answer = try client.exchange("GET", "/")
          // The upstream listens on one of the two addresses that localhost may have.
          return answer.status == 200 && answer.text == "second"
        }
        #expect(try scene.metric(waiting) == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is ordered of an endpoint that stays outlives changes of the list`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let file = try ListFile([first.endpoint, second.endpoint])
      var settings = Self.settings(file)
      settings.service += ", breaker: {}"
      try Scene.play(backend, first, second, settings: settings) { scene in
        let admin = try RawClient(port: scene.edge.adminPort)
        defer { admin.close() }
        try admin.send(
          "POST /admin/services/breaker?service=backend&endpoint=\(first.endpoint)&order=open"
            + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        )
        #expect(try admin.response().status == 200)
        let client = try scene.client()

        file.list([first.endpoint, second.endpoint, "127.0.0.1:1"])
        try eventually("the list is taken") { try scene.metric(Self.changes) == 2 }
        file.write(
          "endpoints: [{address: \"\(first.endpoint)\", weight: 9}, \"\(second.endpoint)\"]"
        )
        try eventually("the next one is taken") { try scene.metric(Self.changes) == 3 }
        try eventually("it has its weight") {
          try scene.admin("/admin/services").text.contains("\"weight\":9")
        }

        for _ in 0..<20 { #expect(try client.exchange("GET", "/").text == "second") }
        #expect(try scene.admin("/admin/services").text.contains("\"isOrdered\":true"))
        #expect(first.requests.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload keeps a source, and what a service had until a new one says something`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let file = try ListFile()
      var settings = EdgeSettings(endpoints: [first.endpoint]).withoutAdmission
      settings.workers = 2
      try Scene.play(backend, first, second, settings: settings) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").text == "first")

        // The file is not there yet.
        try scene.reload { $0.discovery = file.discovery }
        for _ in 0..<10 { #expect(try client.exchange("GET", "/").text == "first") }
        file.list([second.endpoint])
        try eventually("the file counts") { try client.exchange("GET", "/").text == "second" }

        file.remove()
        try eventually("it is missed") { try scene.metric(Self.up) == 0 }
        try scene.reload {
          $0.discovery = file.discovery
          $0.service += ", connections: {maximum: 7}"
        }
        for _ in 0..<10 { #expect(try client.exchange("GET", "/").text == "second") }
        #expect(try scene.metric(Self.failures("unavailable")) == 2)

        try scene.reload { $0.endpoints = [first.endpoint] }
        try eventually("the list is used no more") {
          try client.exchange("GET", "/").text == "first"
        }
        #expect(try scene.metrics().sum(Self.up) == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a file that changes without rest ends with its last list and loses no request`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let file = try ListFile([first.endpoint])
      try Scene.play(backend, first, second, settings: Self.settings(file, workers: 2)) { scene in
        let client = try scene.client()
        let lists = [[first.endpoint], [first.endpoint, second.endpoint], []]
        for round in 0..<600 {
          if round % 7 == 0 { file.remove() }
          if round % 5 == 0 { file.write("endpoints: [") } else { file.list(lists[round % 3]) }
          if round % 10 == 0 { #expect(try client.exchange("GET", "/").status == 200) }
        }

        file.list([second.endpoint])

        try eventually("the last one is served") {
          try client.exchange("GET", "/").text == "second"
        }
        try eventually("nothing of the first is kept") { first.openConnections == 0 }
      }
    }
  }
}
