import Logging
import Testing
import Units
import Upstream

@testable import Edge

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
    let lines = LogLines()
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
    let lines = LogLines()
    news.tell(Logger(label: "test") { _ in lines })

    let kept = lines.kept.withLock { $0 }
    #expect(kept.count == 1_025)
    #expect(kept.last == "warning endpoints changed count=3976")
  }
}
