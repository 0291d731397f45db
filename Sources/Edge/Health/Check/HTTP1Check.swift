internal import HTTPCodec
internal import Upstream

/// The answer to a check over HTTP/1.1 as it arrives: its head decides, and nobody waits for a body.
struct HTTP1Check {
  private var bytes: [UInt8] = []

  /// Interim responses are dropped as they come, and this bounds them together with the rest.
  private static let mostBytes = 65_536
  private var total = 0

  /// The whole request.
  ///
  /// The connection is asked to end: a kept one would not show that new ones are taken.
  static func request(path: String, authority: String) -> [UInt8] {
    Array(
      ("GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nUser-Agent: spillway-health\r\n"
        + "Accept: */*\r\nConnection: close\r\n\r\n").utf8
    )
  }

  /// Takes what came.
  ///
  /// `fields`: Room for the fields of a head.
  ///
  /// - Returns: What the check came to, `nil` while more has to come.
  mutating func take(
    _ more: UnsafeBufferPointer<UInt8>,
    _ plan: CheckPlan,
    fields: UnsafeMutablePointer<HeadField>
  ) -> CheckResult? {
    total += more.count
    guard total <= Self.mostBytes else { return .broken }
    bytes.append(contentsOf: more)
    while true {
      var head = ResponseHead()
      let outcome = bytes.withUnsafeBufferPointer { buffer -> ParseOutcome in
        guard let start = buffer.baseAddress else { return .incomplete }
        return ResponseParser.parse(
          start,
          count: buffer.count,
          request: .get,
          limits: Worker.responseLimits,
          fields: fields,
          into: &head
        )
      }
      switch outcome {
      case .incomplete: return nil
      case .refused: return .broken
      case .complete where head.isInterim: bytes.removeFirst(Int(head.headLength))
      case .complete: return plan.expects(head.status) ? .success : .unexpectedAnswer
      }
    }
  }
}
