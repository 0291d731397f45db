import Testing
import Units

@testable import Upstream

/// When a registry is asked, and asked again.
@Suite struct RegistryWatcherTests {
  private static let list =
    "{\"header\":{\"revision\":\"5\"},\"kvs\":[{\"key\":\"L3MvYQ==\",\"create_revision\":\"2\","
    + "\"mod_revision\":\"2\",\"version\":\"1\",\"value\":\"MTAuMC4wLjE6ODA=\"}]}"

  private static func registry() -> WatchedRegistry { WatchedRegistry(.etcd(prefix: "/s/")) }

  @Test func `it asks at once, and fields for tokens are those of each registry`() {
    #expect(Self.registry().request != nil)
    func field(_ subject: RegistryQuestion.Subject) -> ServiceField {
      RegistryQuestion(service: "r", subject).field(token: "x")
    }
    #expect(field(.etcd(prefix: "/")) == ServiceField("authorization", "x"))
    #expect(
      field(.consul(name: "a", tag: nil, datacenter: nil)) == ServiceField("x-consul-token", "x")
    )
    #expect(
      field(.kubernetes(namespace: "a", name: "a", port: nil))
        == ServiceField("authorization", "Bearer x")
    )
  }

  @Test func `failures in a row are followed later and later, anywhere up to 30 s`() {
    var longest: [Nanoseconds] = []
    for failures in 1...8 {
      var most = Nanoseconds.zero
      for seed in 0..<200 {
        var registry = Self.registry()
        registry.random = SplitMix64(seed: UInt64(seed))
        for _ in 0..<failures {
          if registry.request == nil { registry.wake() }
          registry.hear(.failed("no endpoint"))
        }
        most = max(most, registry.watcher.due - registry.now)
      }
      longest.append(most)
    }

    for (index, bound) in [1, 2, 4, 8, 16, 30, 30, 30].enumerated() {
      #expect(longest[index] <= .seconds(Int64(bound)))
      #expect(longest[index] > Nanoseconds(Int64(bound) * 900_000_000), "all of it is used")
    }
  }

  @Test func `a call that cannot be made or says nothing for long is a failure`() {
    var registry = Self.registry()
    registry.hear(.failed("there is no endpoint"))
    #expect(registry.problem == "there is no endpoint")
    registry.wake()
    registry.hear(.head(status: 200, fields: []))

    registry.pass(.seconds(59))
    #expect(registry.request != nil)
    registry.pass(.seconds(1))

    #expect(registry.request == nil)
    #expect(registry.failures == [.unavailable, .unavailable])
    #expect(registry.problem == "does not answer within 60 s")
  }

  @Test func `the whole list is asked for now and then, whatever is heard`() {
    for seed in 0..<50 {
      var registry = Self.registry()
      registry.random = SplitMix64(seed: UInt64(seed))
      registry.answer(Self.list)
      registry.open()
      let begun = registry.now

      registry.pass(.seconds(239))
      #expect(registry.resyncs == [])
      registry.wake()

      #expect((.seconds(240)...(.seconds(360))).contains(registry.now - begun))
      #expect(registry.resyncs == [.periodic])
      #expect(registry.request?.target == "/v3/kv/range")
    }
  }

  @Test func `a stream that stood is followed soon, one that ends at once later and later`() {
    var registry = Self.registry()
    for _ in 0..<8 {
      registry.answer(Self.list)
      registry.open()
      registry.pass(.seconds(20))
      registry.hear(.failed("reset"))
      #expect(registry.watcher.due - registry.now <= .seconds(1))
      registry.wake()
    }
    #expect(registry.failures == [])
    #expect(registry.resyncs.allSatisfy { $0 == .interrupted })
    var most = Nanoseconds.zero
    for _ in 0..<20 {
      registry.answer(Self.list)
      registry.open()
      registry.hear(.failed("reset"))
      most = max(most, registry.watcher.due - registry.now)
      registry.wake()
    }
    #expect(most > .seconds(10))
    // Lists came all the time.
    #expect(registry.lists.count == 28)
  }

  @Test func `a watch that is refused is a failure each time, though lists come`() {
    var registry = Self.registry()
    for _ in 0..<3 {
      registry.answer(Self.list)
      registry.answer("no", status: 404)
      registry.wake()
    }
    #expect(registry.failures.count == 3)
    #expect(registry.problem == "answers 404: no")
  }

  @Test func `what comes behind the end of a call changes nothing`() {
    var registry = Self.registry()
    registry.hear(.failed("gone"))
    let due = registry.watcher.due

    registry.hear(.body([1]))
    registry.hear(.end)

    #expect(registry.failures.count == 1)
    #expect(registry.watcher.due == due)
    var random = SplitMix64(seed: 1)
    #expect(registry.watcher.wake(at: registry.now, using: &random) == [] || due == registry.now)
  }

  @Test func `a token that cannot be read is a failure, and is read again`() {
    var registry = Self.registry()
    var random = SplitMix64(seed: 1)

    let steps = registry.watcher.cannotAsk("no token", at: registry.now, using: &random)

    #expect(steps == [.cancel, .failure(.unavailable, "no token")])
    registry.wake()
    #expect(registry.request?.target == "/v3/kv/range")
  }
}
