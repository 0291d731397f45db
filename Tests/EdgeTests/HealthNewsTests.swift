import Logging
import Testing
import Units
import Upstream

@testable import Edge

/// A log handler that keeps what it is told.
private struct Lines: LogHandler {
  let kept = Locked<[String]>([])
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let line = "\(event.level) \(event.message) \(fields.joined(separator: " "))"
    kept.withLock { $0.append(line) }
  }
}

/// What health checks tell the operational log.
@Suite struct HealthNewsTests {
  private static func entry(_ endpoint: String, isUp: Bool) -> HealthNews.Entry {
    HealthNews.Entry(
      service: "shop",
      endpoint: endpoint,
      isUp: isUp,
      result: isUp ? .success : .timeout
    )
  }

  @Test func `each change is one line, in order, and told once`() {
    let news = HealthNews()
    let lines = Lines()
    let logger = Logger(label: "test") { _ in lines }
    news.post(Self.entry("10.0.0.1:80", isUp: false))
    news.post(Self.entry("10.0.0.1:80", isUp: true))

    news.tell(logger)
    news.tell(logger)

    #expect(
      lines.kept.withLock { $0 } == [
        "warning endpoint is down check=timeout endpoint=10.0.0.1:80 service=shop",
        "notice endpoint is up check=success endpoint=10.0.0.1:80 service=shop",
      ]
    )
  }

  @Test func `what nobody takes is bounded, and the rest is counted`() {
    let news = HealthNews()
    for index in 0..<5_000 { news.post(Self.entry("\(index)", isUp: false)) }
    let lines = Lines()
    news.tell(Logger(label: "test") { _ in lines })

    let kept = lines.kept.withLock { $0 }
    #expect(kept.count == 1_025)
    #expect(kept.last == "warning endpoints changed count=3976")
  }
}
