import Configuration
import Foundation
import LoadKit
import Testing
import Units

struct ScenarioTests {
  private let whole = """
    name: ten-times
    about: Ten times the capacity, then back.
    seed: 7
    capacity: 2000/s
    arrivals: {bursts: 20}
    connections: {open: 100, most: 9000}
    interval: 500ms
    maximumLag: 5ms
    classes: [critical, normal]
    unloaded: {load: 0.05x, for: 5s}
    phases:
      - {name: calm, load: 1x, for: 20s}
      - {load: 10x, for: 40s, mix: {pay: 1}, backend: "/brownout?to=30%"}
      - {name: trickle, load: 5/s, for: 1m}
    kinds:
      - name: pay
        class: critical
        weight: 5
        method: POST
        path: /pay?x=1
        headers: {x-class: critical, x-tenant: a}
        body: 1KiB
        deadline: 500ms
        timeout: 2s
        retries: {attempts: 3, backoff: 10ms, attemptTimeout: 200ms, on: [shed, timeout]}
      - {name: browse, class: normal, weight: 95}
    expect:
      - critical.success >= 99.9 %
      - goodput in phase-2 >= 97 % of capacity
      - critical.p99 <= 1.5 x unloaded
    """

  private func faults(_ text: String) -> [Fault] {
    do {
      _ = try ScenarioSource.parse(text, file: "s.yaml")
      return []
    } catch {
      return error.faults
    }
  }

  @Test func `every field is read`() throws {
    let scenario = try ScenarioSource.parse(whole, file: "s.yaml")

    #expect(scenario.name == "ten-times")
    #expect(scenario.seed == 7)
    #expect(scenario.capacity == .stated(2_000))
    #expect(scenario.arrivals == .open(.bursty(size: 20)))
    #expect(scenario.connections.opened == 100)
    #expect(scenario.connections.most == 9_000)
    #expect(scenario.interval == .milliseconds(500))
    #expect(scenario.maximumLag == .milliseconds(5))
    #expect(scenario.classes == ["critical", "normal"])
    #expect(scenario.unloaded?.load == .multiple(0.05))
    #expect(scenario.stretches.map(\.name) == ["unloaded", "calm", "phase-2", "trickle"])
    #expect(scenario.phases[1].rate(capacity: 2_000) == 20_000)
    #expect(scenario.phases[2].rate(capacity: 2_000) == 5)
    #expect(scenario.weights(in: scenario.phases[0]) == [5, 95])
    #expect(scenario.weights(in: scenario.phases[1]) == [1, 0])
    #expect(scenario.phases[0].orders.isEmpty)
    #expect(scenario.phases[1].orders == [BackendOrder(path: "/brownout?to=30%")])
    #expect(scenario.duration == 125)
    let pay = scenario.kinds[0]
    #expect(pay.method == "POST" && pay.path == "/pay?x=1" && pay.bodySize == 1_024)
    #expect(pay.headers.map(\.name) == ["x-class", "x-tenant"])
    #expect(pay.deadline == .milliseconds(500) && pay.timeout == .seconds(2))
    #expect(pay.retries?.attempts == 3 && pay.retries?.causes == [.shed, .timeout])
    #expect(scenario.kinds[1].priority == 1 && scenario.kinds[1].timeout == .seconds(1))
    #expect(scenario.expectations.count == 3)
  }

  @Test(arguments: ["scenarios", "suite"])
  func `the scenarios and services that come along are right`(folder: String) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("loadtest/" + folder)
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)

    #expect(files.contains("service.yaml"))
    // What ends with .in is a template for a peer.
    for file in files where !file.hasSuffix(".in") {
      let path = folder.appendingPathComponent(file).path
      guard !file.hasSuffix("service.yaml") else {
        _ = try ServiceSource.parse(ConfigurationSource.text(of: path), file: path)
        continue
      }
      let scenario = try ScenarioSource.load(path)
      #expect(file == scenario.name + ".yaml")
      #expect(!scenario.expectations.isEmpty && !scenario.about.isEmpty)
    }
  }

  @Test func `orders name one backend, or none for all of them`() throws {
    let scenario = try ScenarioSource.parse(
      """
      phases:
        - {load: 1/s, for: 1s, backend: {1: /kill, 3: "/faults?hang=100%"}}
        - {load: 1/s, for: 1s, backend: /recover}
      kinds: [{}]
      """,
      file: "s.yaml"
    )

    #expect(
      scenario.phases.map(\.orders) == [
        [
          BackendOrder(place: 0, path: "/kill"),
          BackendOrder(place: 2, path: "/faults?hang=100%"),
        ],
        [BackendOrder(path: "/recover")],
      ]
    )
  }

  @Test(arguments: [
    ("{0: /kill}", "the first one is 1"), ("{17: /kill}", "the first one is 1"),
    ("{main: /kill}", "the first one is 1"), ("{1: kill}", "must be a path"),
    ("kill", "must be a path"), ("[/kill]", "must be a map"), ("\"/a b\"", "must be a path"),
  ])
  func `orders that nobody can be given are refused`(orders: String, words: String) {
    let found = faults("phases: [{load: 1/s, for: 1s, backend: \(orders)}]\nkinds: [{}]")

    #expect(found.contains { $0.message.contains(words) }, "\(found)")
  }

  @Test func `what is spoken, how, and by whom slowly`() throws {
    let scenario = try ScenarioSource.parse(
      """
      protocol: h2
      connections: {most: 4, streams: 7}
      phases: [{load: 1/s, for: 1s}]
      kinds:
        - {grpc: true, path: /shop.Basket/Add}
        - {slow: {send: 2s, pause: 50ms}}
        - {grpc: false}
      """,
      file: "s.yaml"
    )

    #expect(scenario.wireProtocol == .http2)
    #expect(scenario.connections.streams == 7)
    #expect(scenario.kinds.map(\.isGRPC) == [true, false, false])
    #expect(scenario.kinds.map(\.method) == ["POST", "GET", "GET"])
    #expect(scenario.kinds[1].pace?.sending == .seconds(2))
    #expect(scenario.kinds[1].pace?.pause == .milliseconds(50))
  }

  @Test(arguments: [
    ("protocol: h3", "{}", "must be http1, h2, auto"),
    ("protocol: http1", "{grpc: true}", "needs protocol: h2"),
    ("protocol: h2", "{grpc: yes}", "must be true, false"),
    ("protocol: h2", "{grpc: true, method: GET}", "must be POST"),
    ("protocol: h2", "{slow: {}}", "needs send"),
    ("protocol: h2", "{slow: {send: 1h}}", "must be from"),
    ("connections: {streams: 0}", "{}", "must be from 1"),
    ("connections: {streams: 1001}", "{}", "must be from 1"),
  ])
  func `what cannot be spoken is refused`(setting: String, kind: String, words: String) {
    let found = faults("\(setting)\nphases: [{load: 1/s, for: 1s}]\nkinds: [\(kind)]")

    #expect(found.contains { $0.message.contains(words) }, "\(found)")
  }

  @Test func `classes need no list, in the order they are met`() throws {
    let scenario = try ScenarioSource.parse(
      """
      phases: [{load: 1/s, for: 1s}]
      kinds: [{class: b}, {class: a}, {class: b}]
      """,
      file: "s.yaml"
    )

    #expect(scenario.classes == ["b", "a"])
    #expect(scenario.kinds.map(\.priority) == [0, 1, 0])
    #expect(scenario.kinds.map(\.name) == ["kind-1", "kind-2", "kind-3"])
  }

  /// A line in place of one that is right, and the place and words of its fault.
  @Test(arguments: [
    ("capacity: 2000/s", "capacity: lots", 4, 11, "write measured"),
    ("capacity: 2000/s", "capacity: 1e9/s", 4, 11, "write measured"),
    ("seed: 7", "sede: 7", 3, 1, "did you mean seed"),
    ("classes: [critical, normal]", "classes: [critical, success]", 9, 21, "another meaning"),
    ("  - {name: calm, load: 1x, for: 20s}", "  - {load: ten, for: 1s}", 12, 12, "write 10x"),
    ("  - {name: calm, load: 1x, for: 20s}", "  - {load: -1x, for: 1s}", 12, 12, "write 10x"),
    ("  - {name: calm, load: 1x, for: 20s}", "  - {load: 1x}", 12, 5, "needs for"),
    (
      "  - {name: calm, load: 1x, for: 20s}", "  - {name: trickle, load: 1x, for: 1s}", 14, 5,
      "taken"
    ),
    ("    class: critical", "    class: kritical", 17, 12, "did you mean critical"),
    ("    method: POST", "    method: PO ST", 19, 13, "method such as GET"),
    ("    path: /pay?x=1", "    path: \"/a b\"", 20, 11, "visible ASCII"),
    ("    body: 1KiB", "    body: 1GiB", 22, 11, "must be from 0"),
    ("    timeout: 2s", "    timeout: 100ms", 24, 14, "shorter than the deadline"),
    ("  - critical.success >= 99.9 %", "  - critical.sucess >= 99.9 %", 28, 14, "mean success"),
    ("  - critical.success >= 99.9 %", "  - \"goodput in x > 1/s\"", 28, 17, "no phase"),
  ])
  func `a fault has its place`(
    right: String,
    wrong: String,
    line: Int,
    column: Int,
    words: String
  ) {
    let text = whole.replacingOccurrences(ofLine: right, with: wrong)

    let found = faults(text)

    #expect(
      found.contains { $0.line == line && $0.column == column && $0.message.contains(words) },
      "\(found)"
    )
  }

  @Test(arguments: [
    "", "# nothing", "[]", "kinds: []", "phases: 7", "kinds: [{headers: [a]}]",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{headers: {content-length: 5}}]",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{headers: {\"a b\": 5}}]",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{headers: {a: \"x\\r\\ny: z\"}}]",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{weight: 0}]",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{weight: .inf}]",
    "phases: [{load: 1x, for: 25h}]\nkinds: [{}]",
    "phases: [{load: 1x, for: 1s, mix: {nobody: 1}}]\nkinds: [{}]",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{}]\nexpect: [p99 <= 2 x unloaded]",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{}]\narrivals: {bursts: 2, closed: 3}",
    "phases: [{load: 1x, for: 1s}]\nkinds: [{}]\nconnections: {open: 10, most: 5}",
  ])
  func `what makes no run is refused`(text: String) {
    #expect(!faults(text).isEmpty)
  }

  @Test func `more kinds, classes and phases than the tables hold are refused`() {
    let kinds = (0...Scenario.maximumKinds).map { _ in "{}" }.joined(separator: ", ")
    let classes = (0...Scenario.maximumClasses).map { "{class: c\($0)}" }.joined(separator: ", ")
    let phases = (0...Scenario.maximumPhases).map { _ in "{load: 1x, for: 1s}" }
      .joined(separator: ", ")

    #expect(faults("phases: [{load: 1x, for: 1s}]\nkinds: [\(kinds)]").count == 1)
    #expect(faults("phases: [{load: 1x, for: 1s}]\nkinds: [\(classes)]").count == 1)
    #expect(faults("phases: [\(phases)]\nkinds: [{}]").count == 1)
  }

  @Test func `a long run has no more points in time than a report holds`() throws {
    let scenario = try ScenarioSource.parse(
      "phases: [{load: 1x, for: 23h}]\nkinds: [{}]\ninterval: 50ms",
      file: "s.yaml"
    )

    let points = scenario.duration / scenario.effectiveInterval.seconds
    #expect(points <= Double(Scenario.maximumIntervals))
  }
}

extension String {
  fileprivate func replacingOccurrences(ofLine line: String, with other: String) -> String {
    split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0 == line ? other : String($0) }.joined(separator: "\n")
  }
}
