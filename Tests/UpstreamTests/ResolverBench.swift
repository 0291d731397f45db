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

  func watch(_ names: String...) {
    board.expect(names)
    resolver.replace(names)
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

  private func collect() {
    for (name, addresses) in board.take() { answers[name] = addresses.map(\.description).sorted() }
    let more = resolver.takeTally()
    tally.changed += more.changed
    tally.unchanged += more.unchanged
    tally.failed += more.failed
  }
}
