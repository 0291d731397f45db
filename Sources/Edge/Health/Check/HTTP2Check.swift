internal import Configuration
internal import HTTPCodec
internal import Units
internal import Upstream

/// A check over HTTP/2, of gRPC's health protocol too: a session with one stream.
final class HTTP2Check {
  let session: H2Session
  private let workspace: H2Workspace
  private let plan: CheckPlan
  private var stream: Int32 = -1
  private var message: [UInt8] = []
  private var hasHead = false
  private var total = 0

  /// Frames of all kinds; an answer and its SETTINGS take some hundred.
  private static let mostBytes = 65_536

  /// Begins a session; `nil` when memory is short.
  init?(_ plan: CheckPlan, _ workspace: H2Workspace) {
    guard
      let session = H2Session(
        isServer: false,
        settings: H2Settings(limits: Worker.responseLimits),
        workspace: workspace
      )
    else { return nil }
    self.session = session
    self.workspace = workspace
    self.plan = plan
  }

  /// Submits the request.
  ///
  /// - Returns: Whether it could be.
  func ask(_ endpoint: CheckPlan.Endpoint) -> Bool {
    let isCall = plan.kind == .grpc
    var list = H2FieldList(workspace)
    list.add(":method", isCall ? "POST" : "GET")
    list.add(":scheme", endpoint.target == nil ? "http" : "https")
    list.add(":authority", endpoint.authority.start, endpoint.authority.count)
    list.add(":path", plan.path.start, plan.path.count)
    list.add("user-agent", "spillway-health")
    if isCall {
      list.add("content-type", "application/grpc")
      list.add("te", "trailers")
      list.add("grpc-timeout", plan.callTimeout.start, plan.callTimeout.count)
    }
    stream = session.request(isCall ? .post : .get, fields: list, endsStream: !isCall)
    guard stream >= 0 else { return false }
    if isCall { session.offer(stream, plan.message.start, count: plan.message.count, .last) }
    return true
  }

  /// Takes what came.
  ///
  /// - Returns: What the check came to, `nil` while more has to come.
  func take(_ bytes: UnsafePointer<UInt8>, count: Int, at now: Instant) -> CheckResult? {
    total += count
    guard total <= Self.mostBytes else { return .broken }
    var verdict: CheckResult?
    var used = 0
    repeat {
      let part = bytes + used
      used += session.receive(part, count: count - used, at: now)
      while let event = session.nextEvent() {
        if verdict == nil { verdict = judge(event, part) }
      }
      while let closed = session.nextClosed() {
        guard closed.stream == stream else { continue }
        stream = -1
        if verdict == nil { verdict = .broken }
      }
      if session.failure != nil { return verdict ?? .broken }
    } while verdict == nil && (used < count || session.isPaused)
    return verdict
  }

  private func judge(_ event: H2Event, _ bytes: UnsafePointer<UInt8>) -> CheckResult? {
    switch event.kind {
    case .response:
      let head = workspace.response(event).head
      hasHead = true
      guard plan.kind == .grpc else {
        return plan.expects(head.status) ? .success : .unexpectedAnswer
      }
      // Without a message nothing is said of health, whatever the status of the call is.
      return head.status == 200 && !event.isLast ? nil : .unexpectedAnswer
    case .data:
      guard plan.kind == .grpc, hasHead else { return .broken }
      guard message.count + Int(event.count) <= GRPCHealth.mostBytes else { return .broken }
      message.append(
        contentsOf: UnsafeBufferPointer(start: bytes + Int(event.start), count: Int(event.count))
      )
      session.consume(event.stream, Int(event.count))
      return event.isLast ? .unexpectedAnswer : nil
    case .trailers:
      return isGood(workspace.trailers(event)) && GRPCHealth.isServing(message)
        ? .success : .unexpectedAnswer
    case .malformed: return .broken
    // A goodbye leaves streams that it took their answer; one that it did not is closed.
    case .interim, .settings, .goAway, .pong, .request, .oversizedRequest: return nil
    }
  }

  private func isGood(_ trailers: H2Trailers) -> Bool {
    let name: StaticString = "grpc-status"
    for index in 0..<Int(trailers.section.fieldCount) {
      let field = trailers.fields[index]
      guard Int(field.nameLength) == name.utf8CodeUnitCount else { continue }
      let text = trailers.bytes + Int(field.nameStart)
      let isIt = (0..<name.utf8CodeUnitCount)
        .allSatisfy { text[$0] | 0x20 == name.utf8Start[$0] | 0x20 }
      guard isIt else { continue }
      return field.valueLength == 1
        && trailers.bytes[Int(field.valueStart)] == UInt8(ascii: "0")
    }
    return false
  }
}
