import Foundation
import Units

/// A registry that says what a test tells it to, as the protocols of Consul and Kubernetes were recorded:
/// neither can be had here as a program.
final class RegistryFixture: Sendable {
  /// What is said at present.
  struct State: Sendable {
    /// Rises with each change; Consul's index, and Kubernetes' version.
    var index = 10
    /// The whole list, as JSON.
    var list = "[]"
    /// What is sent in place of it.
    var status = 200
    /// Events of Kubernetes' watch since it began.
    var events: [String] = []
    var isOver = false
  }

  let upstream: ScriptedUpstream
  private let state: Locked<State>

  private init(_ upstream: ScriptedUpstream, _ state: Locked<State>) {
    self.upstream = upstream
    self.state = state
  }

  var endpoint: String { upstream.endpoint }
  var targets: [String] { upstream.requests.map(\.target) }

  /// Changes what is said, and lets those hear it that wait.
  func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

  /// Ends all answers that are under way.
  func end() { set { $0.isOver = true } }

  /// Consul's `/v1/health/service`: a question with the present index waits for another one.
  static func consul(_ list: String) throws -> RegistryFixture {
    let state = Locked(State(list: list))
    let upstream = try ScriptedUpstream { peer, request in
      let asked = number("index", request.target) ?? 0
      while asked > 0, state.withLock({ $0.index == asked && !$0.isOver }) { usleep(2_000) }
      let now = state.withLock { $0 }
      guard !now.isOver else { return peer.close() }
      try peer.respond(now.status, now.list, "X-Consul-Index: \(now.index)")
    }
    return RegistryFixture(upstream, state)
  }

  /// Kubernetes' `endpointslices`: a list, or a watch from its version.
  static func kubernetes(_ list: String) throws -> RegistryFixture {
    let state = Locked(State(list: list))
    let upstream = try ScriptedUpstream { peer, request in
      let now = state.withLock { $0 }
      guard request.target.contains("watch=1") else {
        return try peer.respond(now.status, now.list)
      }
      try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
      var sent = 0
      while !state.withLock({ $0.isOver }) {
        let events = state.withLock { state in
          let events = state.events
          // What ends a watch is said to one: the next begins with another list.
          if events.last?.contains("\"ERROR\"") == true { state.events = [] }
          return events
        }
        guard events.count >= sent else { break }
        for event in events[sent...] {
          let line = event + "\n"
          try peer.send("\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n")
        }
        sent = events.count
        usleep(2_000)
      }
      try peer.send("0\r\n\r\n")
    }
    return RegistryFixture(upstream, state)
  }

  private static func number(_ name: String, _ target: String) -> Int? {
    target.split(separator: "&").first { $0.hasPrefix("\(name)=") }
      .flatMap { Int($0.dropFirst(name.count + 1)) }
  }
}
