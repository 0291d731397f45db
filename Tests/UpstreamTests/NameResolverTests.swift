import Reactor
import Testing
import Units
import Upstream

@Suite struct NameResolverTests {
  @Test(arguments: Reactor.Backend.allowed)
  func `a failing name server never takes the last answer away`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend) {
      $0.bounds = .milliseconds(2)...Nanoseconds.milliseconds(5)
    }
    bench.server.set("api.test", .answer(["10.0.0.1"], ttl: 1))
    bench.watch("api.test")
    #expect(bench.run { bench.answers["api.test"] != nil })

    bench.server.set("api.test", .unknown)
    #expect(bench.run { bench.tally.failed >= 1 })
    bench.server.set("api.test", .broken)
    let failed = bench.tally.failed
    #expect(bench.run { bench.tally.failed > failed })
    bench.server.set("api.test", .answer([], ttl: 1))
    let more = bench.tally.failed
    #expect(bench.run { bench.tally.failed > more })

    #expect(bench.answers["api.test"] == ["10.0.0.1"])
    bench.server.set("api.test", .answer(["10.0.0.2"], ttl: 1))
    #expect(bench.run { bench.answers["api.test"] == ["10.0.0.2"] })
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a name that nobody knows settles as failed without an answer`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend)

    bench.watch("nobody.test")

    #expect(bench.run { bench.board.isSettled })
    #expect(bench.answers.isEmpty)
    #expect(bench.run { bench.tally.failed >= 2 })
  }

  static let garbage: [FakeNameServer.Behaviour] = [
    .raw([]), .raw([0x81]), .raw([UInt8](repeating: 0xFF, count: 60)),
    .raw([UInt8](repeating: 0xC0, count: 1_200)), .raw([UInt8](repeating: 0, count: 20_000)),
    .lying,
  ]

  @Test(arguments: Reactor.Backend.allowed, garbage.indices)
  func `garbage and oversized replies do not disturb other names`(
    _ backend: Reactor.Backend,
    _ kind: Int
  ) throws {
    let bench = try ResolverBench(backend)
    bench.server.set("bad.test", Self.garbage[kind])
    bench.server.set("good.test", .answer(["10.0.0.1"], ttl: 60))

    bench.watch("bad.test", "good.test")

    #expect(bench.run { bench.answers["good.test"] == ["10.0.0.1"] })
    #expect(bench.run { bench.server.questions(about: "bad.test") >= 2 })
    #expect(bench.answers["bad.test"] == nil)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a name that is never answered fails and is asked again`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend)
    bench.server.set("slow.test", .silent)
    bench.watch("slow.test")
    #expect(bench.run { bench.server.questions(about: "slow.test") >= 3 })

    bench.server.set("slow.test", .answer(["10.0.0.1"], ttl: 60))

    #expect(bench.run { bench.answers["slow.test"] == ["10.0.0.1"] })
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `both families are found and the order of records is no change`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend) {
      $0.bounds = .milliseconds(2)...Nanoseconds.milliseconds(5)
    }
    bench.server.set("api.test", .answer(["10.0.0.2", "10.0.0.1", "fd00::1"], ttl: 60))
    bench.watch("api.test")
    #expect(bench.run { bench.answers["api.test"] == ["10.0.0.1", "10.0.0.2", "fd00::1"] })

    bench.server.set("api.test", .answer(["10.0.0.1", "fd00::1", "10.0.0.2"], ttl: 60))
    let asked = bench.server.questions(about: "api.test")

    #expect(bench.run { bench.server.questions(about: "api.test") >= asked + 4 })
    #expect(bench.tally.changed == 1)
    #expect(bench.tally.unchanged >= 1)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `the next lookup comes after the TTL and a change of addresses is seen`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend)
    bench.server.set("short.test", .answer(["10.0.0.1"], ttl: 1))
    bench.server.set("long.test", .answer(["10.0.0.9"], ttl: 120))
    bench.watch("short.test", "long.test")
    #expect(bench.run { bench.answers.count == 2 })
    let now = bench.reactor.now
    let long = try #require(bench.resolver.nextLookup(of: "long.test"))
    #expect(long > now + .seconds(60) && long <= now + .seconds(132))

    bench.server.set("short.test", .answer(["10.0.0.2"], ttl: 1))

    #expect(bench.run { bench.answers["short.test"] == ["10.0.0.2"] })
    #expect(bench.server.questions(about: "long.test") == 2)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `at most 64 addresses of a name are used, the same ones every time`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend) {
      $0.bounds = .milliseconds(2)...Nanoseconds.milliseconds(5)
    }
    let all = (1...70).map { "10.0.0.\($0)" }
    bench.server.set("wide.test", .answer(all, ttl: 60))
    bench.watch("wide.test")
    #expect(bench.run { bench.answers["wide.test"] != nil })

    bench.server.set("wide.test", .answer(all.reversed(), ttl: 60))
    let unchanged = bench.tally.unchanged

    #expect(bench.run { bench.tally.unchanged > unchanged + 1 })
    #expect(bench.answers["wide.test"]?.count == NameResolver.maximumAddresses)
    #expect(bench.tally.changed == 1)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `localhost needs no name server`(_ backend: Reactor.Backend) throws {
    let bench = try ResolverBench(backend)

    bench.watch("localhost")

    #expect(bench.run { bench.answers["localhost"]?.contains("127.0.0.1") == true })
    #expect(bench.server.questions(about: "localhost") == 0)
    let next = try #require(bench.resolver.nextLookup(of: "localhost"))
    #expect(next > bench.reactor.now + .seconds(20))
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `replacing the names gives up old lookups and keeps known answers`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend)
    bench.server.set("kept.test", .answer(["10.0.0.1"], ttl: 60))
    bench.server.set("gone.test", .silent)
    bench.watch("kept.test", "gone.test")
    #expect(bench.run { bench.answers["kept.test"] != nil })
    #expect(bench.run { bench.server.questions(about: "gone.test") > 0 })

    bench.server.set("new.test", .answer(["10.0.0.2"], ttl: 60))
    bench.watch("kept.test", "new.test")

    #expect(bench.run { bench.answers["new.test"] == ["10.0.0.2"] })
    #expect(bench.resolver.nextLookup(of: "gone.test") == nil)
    #expect(bench.server.questions(about: "kept.test") == 2)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `more names than lookups at once are all answered`(_ backend: Reactor.Backend) throws {
    let bench = try ResolverBench(backend)
    let names = (0..<300).map { "n\($0).test" }
    for name in names { bench.server.set(name, .answer(["10.0.0.1"], ttl: 60)) }

    bench.watch(names.map { NameQuestion($0) })

    #expect(bench.run { bench.answers.count == 300 })
    #expect(bench.board.isSettled)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `lookups of names that stay go on when others come and go`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend)
    bench.server.set("slow.test", .held(["10.0.0.1"]))
    bench.server.set("gone.test", .held(["10.0.0.3"]))
    bench.watch("slow.test", "gone.test")
    #expect(
      bench.run {
        ["slow.test", "gone.test"].allSatisfy { bench.server.questions(about: $0) >= 2 }
      }
    )
    // Whoever asks anew is told nothing.
    for name in ["slow.test", "gone.test"] { bench.server.set(name, .silent) }

    bench.server.set("new.test", .answer(["10.0.0.2"], ttl: 60))
    bench.watch("new.test", "slow.test")
    #expect(bench.run { bench.answers["new.test"] != nil })
    bench.server.release()

    #expect(bench.run { bench.answers["slow.test"] == ["10.0.0.1"] })
    #expect(bench.answers["gone.test"] == nil)
    // It is taken up again as if it had never been asked for.
    bench.server.set("gone.test", .answer(["10.0.0.4"], ttl: 60))
    bench.watch("gone.test")
    #expect(bench.run { bench.answers["gone.test"] == ["10.0.0.4"] })
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `names that fail at once leave the others their turn`(_ backend: Reactor.Backend) throws {
    let bench = try ResolverBench(backend) { $0.retry = .zero...Nanoseconds.zero }
    let bad = (0..<80).map { "bad\($0).test" }
    for name in bad { bench.server.set(name, .unknown) }
    bench.server.set("good.test", .answer(["10.0.0.1"], ttl: 60))

    bench.watch((bad + ["good.test"]).map { NameQuestion($0) })

    #expect(bench.run { bench.answers["good.test"] != nil })
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `sources of endpoints are asked before names`(_ backend: Reactor.Backend) throws {
    let bench = try ResolverBench(backend)
    let names = (0..<100).map { "n\($0).test" }
    for name in names { bench.server.set(name, .silent) }
    bench.server.set(Self.shop.name, .services([(0, 0, 80, "a.test")], ttl: 60))

    bench.watch(names.map { NameQuestion($0) } + [Self.shop])

    #expect(bench.run { bench.services[Self.shop.name] != nil })
    #expect(bench.server.questions(about: "n99.test") == 0)
  }

  // MARK: - Records of services

  private static let shop = NameQuestion("_http._tcp.shop.test", .services)

  @Test(arguments: Reactor.Backend.allowed)
  func `records of a service are found, asked for again at their TTL, and their order is no change`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend) {
      $0.bounds = .milliseconds(2)...Nanoseconds.milliseconds(5)
    }
    let records: [(UInt16, UInt16, UInt16, String)] = [
      (1, 5, 8_080, "a.shop.test"), (2, 0, 81, "b.shop.test"),
    ]
    bench.server.set(Self.shop.name, .services(records, ttl: 60))

    bench.watch([Self.shop])
    #expect(bench.run { bench.services[Self.shop.name] != nil })
    #expect(bench.board.isSettled)
    bench.server.set(Self.shop.name, .services(records.reversed(), ttl: 60))

    #expect(bench.run { bench.tally.unchanged >= 2 })
    #expect(bench.tally.changed == 1)
    #expect(
      Set(bench.services[Self.shop.name] ?? []) == [
        ServiceRecord(target: "a.shop.test", port: 8_080, priority: 1, weight: 5),
        ServiceRecord(target: "b.shop.test", port: 81, priority: 2),
      ]
    )
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a name server that fails says so and takes no record away`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend) {
      $0.bounds = .milliseconds(2)...Nanoseconds.milliseconds(5)
    }
    bench.server.set(Self.shop.name, .services([(0, 0, 80, "a.test")], ttl: 1))
    bench.watch([Self.shop])
    #expect(bench.run { bench.services[Self.shop.name]?.count == 1 })

    for behaviour in [.unknown, .broken, .lying, .services([], ttl: 1)]
      as [FakeNameServer.Behaviour]
    {
      bench.server.set(Self.shop.name, behaviour)
      let failed = bench.tally.failed
      #expect(bench.run { bench.tally.failed > failed + 1 })
      #expect(bench.problems[Self.shop.name]?.isEmpty == false)
      #expect(bench.services[Self.shop.name]?.map(\.target) == ["a.test"])
    }
    bench.server.set(Self.shop.name, .services([(0, 0, 80, "b.test")], ttl: 1))

    #expect(bench.run { bench.services[Self.shop.name]?.map(\.target) == ["b.test"] })
    #expect(bench.problems[Self.shop.name] == nil)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `one name may be asked for both, and what is known is said again to a new set`(
    _ backend: Reactor.Backend
  ) throws {
    let bench = try ResolverBench(backend)
    let both = [NameQuestion("shop.test"), NameQuestion("shop.test", .services)]
    bench.server.set("shop.test", .answer(["10.0.0.1"], ttl: 60))
    bench.watch([both[0]])
    #expect(bench.run { bench.answers["shop.test"] != nil })
    bench.server.set("shop.test", .services([(0, 0, 80, "a.test")], ttl: 60))
    bench.watch(both)
    #expect(bench.run { bench.services["shop.test"] != nil })

    bench.forget()
    bench.watch(both)

    #expect(bench.answers["shop.test"] == ["10.0.0.1"])
    #expect(bench.services["shop.test"]?.count == 1)
    #expect(bench.repeats == Set(both))
  }
}
