import Foundation
import Synchronization
import Telemetry
import Testing

struct MetricTests {
  private func text(_ registry: MetricRegistry, _ format: ExpositionFormat = .text) -> String {
    String(decoding: registry.exposition(format), as: UTF8.self)
  }

  private func lines(_ registry: MetricRegistry, _ prefix: String) -> [String] {
    text(registry).split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
  }

  @Test func `series beyond a family's bound share one, and that is counted`() {
    let registry = MetricRegistry(shards: 1, seriesPerFamily: 3)
    let shard = registry.shard(0)

    for tenant in 0..<10 {
      let counter = registry.counter("t_total", help: "T.", labels: ["tenant": "t\(tenant)"])
      shard.add(counter)
    }

    #expect(
      lines(registry, "t_total") == [
        #"t_total{tenant="other"} 8"#, #"t_total{tenant="t0"} 1"#, #"t_total{tenant="t1"} 1"#,
      ]
    )
    #expect(
      lines(registry, "spillway_metric_series_overflow_total{") == [
        #"spillway_metric_series_overflow_total{family="t_total"} 8"#
      ]
    )
  }

  @Test func `a registry out of cells goes on counting into the overflow series`() {
    let registry = MetricRegistry(shards: 1, seriesPerFamily: 100_000)
    let shard = registry.shard(0)

    for route in 0..<4_000 {
      let cells = registry.requests("r_total", help: "R.", labels: ["route": "r\(route)"])
      shard.countRequest(route: cells, method: 0, status: 200)
    }

    #expect(lines(registry, "r_total{").count < 4_000)
    #expect(lines(registry, "spillway_metric_series_overflow_total{").count == 1)
  }

  @Test func `a scrape while workers count sees no counter fall and buckets that add up`() throws {
    let registry = MetricRegistry(shards: 2)
    let counter = registry.counter("c_total", help: "C.")
    let histogram = registry.histogram("d_seconds", help: "D.")
    let done = DoneCount()
    let rounds = 200_000
    let threads = (0..<2).compactMap { worker in
      let shard = registry.shard(worker)
      return BackgroundThread(name: "count") {
        for round in 0..<rounds {
          shard.add(counter)
          shard.observe(histogram, nanoseconds: Int64(round) * 40_000)
        }
        done.count.add(1, ordering: .releasing)
      }
    }
    #expect(threads.count == 2)

    var last = 0
    repeat {
      let now = try #require(lines(registry, "c_total").first?.split(separator: " ").last)
      #expect(try #require(Int(now)) >= last)
      last = Int(now) ?? 0
      let buckets = lines(registry, "d_seconds_bucket")
        .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
      #expect(buckets == buckets.sorted())
    } while done.count.load(ordering: .acquiring) < 2
    for thread in threads { thread.join() }

    #expect(registry.value(of: counter) == UInt64(2 * rounds))
    #expect(lines(registry, "d_seconds_count") == ["d_seconds_count \(2 * rounds)"])
  }

  @Test func `the same name and labels give the same handle, so a reload goes on counting`() {
    let registry = MetricRegistry(shards: 1)
    let shard = registry.shard(0)
    let metrics = EdgeMetrics(registry)

    shard.countRequest(route: metrics.route("a").requests, method: 0, status: 200)
    shard.countRequest(
      route: EdgeMetrics(registry).route("a").requests,
      method: 0,
      status: 200
    )

    #expect(
      lines(registry, "spillway_requests_total{") == [
        #"spillway_requests_total{route="a",method="GET",code="200",code_class="2xx"} 2"#
      ]
    )
  }

  @Test(arguments: [
    (200, "200", "2xx"), (418, "418", "4xx"), (419, "other", "4xx"), (599, "other", "5xx"),
    (199, "other", "1xx"), (0, "other", "other"), (-7, "other", "other"), (600, "other", "other"),
    (Int.max, "other", "other"), (499, "499", "4xx"), (511, "511", "5xx"),
  ])
  func `every status has a series, and strange ones share`(
    status: Int,
    code: String,
    codeClass: String
  ) {
    let registry = MetricRegistry(shards: 1)
    let cells = registry.requests("r_total", help: "R.", labels: ["route": "x"])

    registry.shard(0).countRequest(route: cells, method: 255, status: status)

    let labels = #"route="x",method="OTHER",code="\#(code)",code_class="\#(codeClass)""#
    #expect(lines(registry, "r_total{") == ["r_total{\(labels)} 1"])
  }

  @Test(arguments: [
    (-1 as Int64, "0.0001"), (0, "0.0001"), (100_000, "0.0001"), (100_001, "0.00025"),
    (499_999_999, "0.5"), (500_000_000, "0.5"), (500_000_001, "0.75"), (750_000_001, "1.0"),
    (1_000_000_000, "1.0"), (1_000_000_001, "2.5"), (5_000_000, "0.005"), (74_000_000, "0.075"),
    (10_000_000_000, "10.0"), (10_000_000_001, "+Inf"), (.max, "+Inf"),
  ])
  func `a duration falls into the bucket whose bound it does not pass`(
    nanoseconds: Int64,
    bound: String
  ) {
    let registry = MetricRegistry(shards: 1)
    let histogram = registry.histogram("d_seconds", help: "D.")

    registry.shard(0).observe(histogram, nanoseconds: nanoseconds)

    let first = lines(registry, "d_seconds_bucket").first { $0.hasSuffix(" 1") }
    #expect(first == #"d_seconds_bucket{le="\#(bound)"} 1"#)
  }

  @Test func `a sum of nanoseconds is written exactly`() {
    let registry = MetricRegistry(shards: 1)
    let histogram = registry.histogram("d_seconds", help: "D.")

    for _ in 0..<3 { registry.shard(0).observe(histogram, nanoseconds: 1_000_000_007) }

    #expect(lines(registry, "d_seconds_sum") == ["d_seconds_sum 3.000000021"])
  }

  @Test func `a gauge is the sum of parts that may be negative, or the greatest part`() {
    let registry = MetricRegistry(shards: 2)
    let open = registry.gauge("open", help: "Open.")
    let worst = registry.gauge("worst", help: "Worst.", merge: .max)

    registry.shard(0).add(open, 5)
    registry.shard(1).add(open, -2)
    registry.add(open, 1)
    registry.shard(0).set(worst, 7)
    registry.shard(1).set(worst, 3)

    #expect(lines(registry, "open") == ["open 4"])
    #expect(lines(registry, "worst") == ["worst 7"])
  }

  @Test func `label values of an operator cannot break a line`() {
    let registry = MetricRegistry(shards: 1)

    _ = registry.counter("c_total", help: "C \\ \"x\"\nnext", labels: ["n": "a\"b\\c\nd"])

    #expect(lines(registry, "c_total") == [#"c_total{n="a\"b\\c\nd"} 0"#])
    #expect(text(registry).contains(#"# HELP c_total C \\ "x"\nnext"#))
    #expect(text(registry, .openMetrics).contains(#"# HELP c C \\ \"x\"\nnext"#))
  }

  @Test func `OpenMetrics names a counter's family without its suffix and ends with EOF`() {
    let registry = MetricRegistry(shards: 1)
    _ = registry.counter("c_total", help: "C.")

    let written = text(registry, .openMetrics)

    #expect(written.contains("# TYPE c counter\nc_total 0\n"))
    #expect(written.hasSuffix("# EOF\n"))
  }

  @Test(arguments: [
    ("", ExpositionFormat.text), ("*/*", .text), ("text/plain;version=0.0.4", .text),
    ("application/openmetrics-text;version=1.0.0", .openMetrics),
    ("application/openmetrics-text; version=\"1.0.0\"; q=0.4, text/plain;q=0.5", .text),
    (
      "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      .openMetrics
    ),
    ("application/openmetrics-text;version=9.0.0", .text),
    ("application/openmetrics-text;q=0", .text), (";;,,=;q=", .text),
  ])
  func `Accept chooses the format`(accept: String, format: ExpositionFormat) {
    #expect(ExpositionFormat.preferred(by: accept) == format)
  }

  @Test func `a row gives its counters by index and one that nobody reads beyond`() {
    let registry = MetricRegistry(shards: 1)
    let row = registry.counters("c_total", help: "C.", by: "kind", values: ["a", "b"])
    let again = registry.counters("c_total", help: "C.", by: "kind", values: ["a", "b"])

    registry.shard(0).add(row[1])
    registry.shard(0).add(again[1])
    registry.shard(0).add(row[2])
    registry.shard(0).add(row[-1])

    #expect(lines(registry, "c_total") == [#"c_total{kind="a"} 0"#, #"c_total{kind="b"} 2"#])
  }

  @Test func `promtool finds nothing to say of the standard metrics`() throws {
    let promtool = "/usr/bin/promtool"
    // The judge is not part of the toolchain; where it is missing, continuous integration has it.
    guard FileManager.default.isExecutableFile(atPath: promtool) else { return }
    let registry = MetricRegistry(shards: 2)
    let metrics = EdgeMetrics(registry)
    ProcessMetrics.register(in: registry, version: "1.2.3")
    registry.shard(0).countRequest(route: metrics.route("a").requests, method: 1, status: 404)
    registry.shard(1).observe(metrics.route("a").duration, nanoseconds: 5)
    registry.shard(1).observe(metrics.service("s").duration, nanoseconds: 5)
    registry.shard(1).opened(metrics.listener("public"))
    _ = metrics.parseRefusals(["bad-method"])
    _ = metrics.localReplies(["no-route"])

    let process = Process()
    let input = Pipe()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: promtool)
    process.arguments = ["check", "metrics"]
    process.standardInput = input
    process.standardError = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(registry.exposition(.text)))
    try input.fileHandleForWriting.close()
    let said = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()

    #expect(process.terminationStatus == 0, "\(String(decoding: said, as: UTF8.self))")
  }

  @Test func `the process reports its own basics`() throws {
    let registry = MetricRegistry(shards: 1)

    ProcessMetrics.register(in: registry, version: "1.2.3")

    #expect(lines(registry, "spillway_build_info") == [#"spillway_build_info{version="1.2.3"} 1"#])
    for name in [
      "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
      "process_max_fds", "process_start_time_seconds",
    ] {
      let value = lines(registry, "\(name) ").first?.split(separator: " ").last
      #expect(try #require(value.flatMap { Double($0) }) > 0, "\(name)")
    }
  }
}
