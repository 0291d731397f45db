import Foundation
import Units

/// A call as a thread of the slow plane makes it: asleep in `poll` until something comes of it.
final class HeldCall {
  let call: any ServiceCall
  private(set) var events: [ServiceEvent] = []

  init(_ call: any ServiceCall) { self.call = call }

  /// The status of the answer, 0 before its head.
  var status: Int {
    for case .head(let status, _) in events { return status }
    return 0
  }

  var body: [UInt8] {
    var bytes: [UInt8] = []
    for case .body(let part) in events { bytes += part }
    return bytes
  }

  var text: String { String(decoding: body, as: UTF8.self) }

  /// Whether the answer is there whole.
  var isWhole: Bool { events.last == .end }

  /// Why there is none, or no more of it; `nil` while that is not known.
  var failure: String? {
    if case .failed(let words)? = events.last { words } else { nil }
  }

  /// The first field of the answer that has a name.
  subscript(name: String) -> String? {
    for case .head(_, let fields) in events { return fields.first { $0.name == name }?.value }
    return nil
  }

  /// Sleeps until something has come, and takes it.
  func step(by deadline: Deadline = Deadline()) throws {
    var entry = pollfd(fd: call.descriptor, events: call.events, revents: 0)
    guard poll(&entry, 1, deadline.milliseconds) > 0 else {
      throw WireFailure("nothing comes of a call; so far: \(events.count) events")
    }
    events += call.advance()
  }

  /// Goes on until `condition` holds.
  func until(_ condition: (HeldCall) -> Bool) throws {
    let deadline = Deadline(after: .seconds(60))
    while !condition(self) { try step(by: deadline) }
  }

  /// Goes on until the request is sent whole; a worker has yet to take it.
  func sent() throws { try until { $0.call.events & Int16(POLLOUT) == 0 } }

  /// Goes on to the last event.
  @discardableResult
  func finished() throws -> HeldCall {
    try until { $0.isWhole || $0.failure != nil }
    guard call.descriptor < 0, call.advance().isEmpty else {
      throw WireFailure("a call goes on behind its last event")
    }
    return self
  }
}

extension Scene {
  func begin(_ request: ServiceRequest) -> HeldCall { HeldCall(edge.caller.begin(request)) }

  /// A call of `backend`, to its end.
  func call(
    _ method: String = "GET",
    _ target: String = "/",
    _ fields: [ServiceField] = [],
    service: String = "backend"
  ) throws -> HeldCall {
    try begin(ServiceRequest(service: service, method: method, target: target, fields: fields))
      .finished()
  }

  /// A watch of `backend`, begun.
  func watch(_ target: String = "/watch", service: String = "backend") -> HeldCall {
    begin(ServiceRequest(service: service, target: target, isStream: true))
  }

  /// Calls of the edge's own that workers have.
  func heldCalls() throws -> Double {
    try metric("spillway_connections{side=\"downstream\",peer=\"internal\"}")
  }
}
