import Reactor
import Telemetry
import Units
import Upstream

/// A resolver on a reactor of its own, with a fake name server beside it.
final class ResolverBench {
  static let socketKind: UInt8 = 1
  static let timerKind: UInt8 = 2

  let server: FakeNameServer
  let reactor: Reactor
  let board = NameBoard()
  let resolver: NameResolver
  /// The newest answer to each name.
  private(set) var answers: [String: [String]] = [:]
  /// The newest records of each name, and what is wrong with names at present.
  private(set) var services: [String: [ServiceRecord]] = [:]
  private(set) var problems: [String: String] = [:]
  /// What was said again and not anew, the last time.
  private(set) var repeats: Set<NameQuestion> = []
  private(set) var tally = NameResolver.Tally()

  init(_ backend: Reactor.Backend, _ change: (inout RefreshPacing) -> Void = { _ in }) throws {
    server = try FakeNameServer()
    var bounds = Reactor.Bounds()
    bounds.sockets = 64
    bounds.blocks = 64
    reactor = try Reactor(backend: backend, bounds: bounds)
    var pacing = RefreshPacing()
    pacing.retry = .milliseconds(2)...Nanoseconds.milliseconds(20)
    change(&pacing)
    resolver = NameResolver(
      reactor: reactor,
      socketKind: Self.socketKind,
      timerKind: Self.timerKind,
      board: board,
      seed: 1,
      pacing: pacing,
      servers: "127.0.0.1:\(server.port)"
    )
  }

  deinit { server.stop() }

  func watch(_ names: String...) { watch(names.map { NameQuestion($0) }) }

  func watch(_ questions: [NameQuestion]) {
    board.expect(questions)
    resolver.replace(questions)
    collect()
  }

  /// Turns the reactor until a condition holds; gives up after 20 s.
  func run(until isMet: () -> Bool) -> Bool {
    let end = reactor.now + .seconds(20)
    while !isMet() {
      guard reactor.now < end else { return false }
      reactor.turn(limit: .milliseconds(50))
      while true {
        let event = reactor.next()
        guard event.kind != .none else { break }
        switch event.owner.kind {
        case Self.socketKind: resolver.socketReady(event)
        case Self.timerKind: resolver.timerFired()
        default: break
        }
      }
      collect()
    }
    return true
  }

  /// Drops what was heard so far.
  func forget() { (answers, services, problems, repeats) = ([:], [:], [:], []) }

  private func collect() {
    for (question, news) in board.take() {
      if let found = news.addresses { answers[question.name] = found.map(\.description).sorted() }
      if let found = news.services { services[question.name] = found }
      problems[question.name] = news.problem
      if news.isRepeat { repeats.insert(question) } else { repeats.remove(question) }
    }
    let more = resolver.takeTally()
    tally.changed += more.changed
    tally.unchanged += more.unchanged
    tally.failed += more.failed
  }
}
