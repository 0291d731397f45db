import HTTPCodec
import Reactor
import Telemetry
import Testing
import Units

@testable import Edge

/// What a caller's fields make of its request's class and time.
struct RequestDemandTests {
  private static let now = Instant(5_000_000_000)
  private static let classes = ["critical", "important", "normal", "best-effort"]

  /// What a GET with these fields demands of a route of class `normal` and one second.
  private static func demand(
    _ fields: String...,
    isTrusted: Bool = false,
    classes: [String] = classes,
    class place: Int32 = 2,
    field: String = "x-criticality",
    isBelieved: Bool = true
  ) throws -> RequestDemand {
    let lines = ["GET /a HTTP/1.1", "Host: h"] + fields
    var route = CompiledRoute(
      service: 0,
      answer: -1,
      metrics: RouteMetrics(),
      name: NameTable().id(for: "a"),
      className: NameTable().id(for: "b"),
      classPlace: place,
      timeout: .seconds(1),
      perTryTimeout: .seconds(1)
    )
    return try ParsedRequest.withView(lines, isTrusted: isTrusted) { view in
      let names = ClassNames(classes, field: field, isBelieved: isBelieved)
      defer { names.deallocate() }
      return RequestDemand(view, &route, names, now: now)
    }
  }

  private static func milliseconds(_ demand: RequestDemand) -> Int64 {
    (demand.deadline - now).rawValue / 1_000_000
  }

  @Test func `without a word of the caller the route decides`() throws {
    let demand = try Self.demand()

    #expect(demand.priority == 2)
    #expect(Self.milliseconds(demand) == 1_000)
    #expect(demand.callDeadline == .never)
    #expect(!demand.isStrangers)
  }

  @Test(arguments: [
    ("critical", 0), ("IMPORTANT", 1), ("best-effort", 3), ("critical-plus", 0),
    ("sheddable-plus", 2), ("Sheddable", 3), ("", 2), ("urgent", 2), ("critica", 2),
    ("criticall", 2), ("0", 2),
  ])
  func `a trusted caller names a class, and what is none changes nothing`(
    _ item: (String, UInt8)
  ) throws {
    #expect(
      try Self.demand("X-Criticality: \(item.0)", isTrusted: true).priority == item.1
    )
    #expect(try Self.demand("X-Criticality: \(item.0)").priority == 2)
  }

  @Test func `the names of others stand for no class where ours are not those four`() throws {
    let demand = try Self.demand(
      "x-criticality: sheddable",
      isTrusted: true,
      classes: ["high", "low"],
      class: 0
    )

    #expect(demand.priority == 0)
  }

  @Test func `the field that names a class is a setting, and so is whether it is believed`() throws
  {
    func priority(_ line: String, _ field: String, _ isBelieved: Bool = true) throws -> UInt8 {
      try Self.demand(line, isTrusted: true, field: field, isBelieved: isBelieved).priority
    }

    #expect(try priority("X-Importance: critical", "x-importance") == 0)
    #expect(try priority("x-criticality: critical", "x-importance") == 2)
    #expect(try priority("x-importance: critical", "x-importance", false) == 2)
    // As long as another field that is known, and as long as none.
    #expect(try priority("x-class: critical", "x-class") == 0)
    #expect(try priority("priority: u=7", "x-abcdef") == 3)
  }

  @Test(arguments: [
    ("u=7", 3), ("u=7, i", 3), ("i, u=7", 3), ("i,\tu=7;x=1", 3), ("u=1, u=7", 3),
    ("u=7, u=1", 2), ("u=6", 2), ("u=0", 2), ("u=70", 2), ("u=8", 2), ("u=-7", 2), ("u", 2),
    ("u=", 2), ("", 2), (",,,", 2), ("U=7", 2), ("xu=7", 2), ("u=7.0", 2), ("\"u=7\"", 2),
  ])
  func `background work counts one class lower, whoever says it`(_ item: (String, UInt8)) throws {
    #expect(try Self.demand("Priority: \(item.0)").priority == item.1)
    #expect(try Self.demand("Priority: \(item.0)", isTrusted: true).priority == item.1)
  }

  @Test func `nobody gets a higher class by urgency, and one that is named stays`() throws {
    let urgent = try Self.demand("priority: u=0", isTrusted: true)
    let named = try Self.demand("priority: u=7", "x-criticality: important", isTrusted: true)
    let retry = try Self.demand("priority: u=7", "x-envoy-attempt-count: 2", class: 1)

    #expect(urgent.priority == 2)
    #expect(named.priority == 1)
    #expect(retry.priority == 3)
  }

  @Test(arguments: [
    ("x-envoy-attempt-count: 1", 2), ("x-envoy-attempt-count: 2", 3),
    ("X-Envoy-Attempt-Count: 99", 3), ("x-envoy-attempt-count: -2", 2),
    ("x-envoy-attempt-count: 99999999999999999999", 2), ("x-envoy-attempt-count:", 2),
    ("grpc-previous-rpc-attempts: 0", 2), ("grpc-previous-rpc-attempts: 1", 3),
  ])
  func `a retry counts one class lower, whoever says it`(_ item: (String, UInt8)) throws {
    #expect(try Self.demand(item.0).priority == item.1)
    #expect(try Self.demand(item.0, isTrusted: true).priority == item.1)
  }

  @Test func `a retry is lowered from the class that it names, and the lowest stays`() throws {
    let raised = try Self.demand(
      "x-criticality: critical",
      "x-envoy-attempt-count: 2",
      isTrusted: true
    )
    let lowest = try Self.demand("x-envoy-attempt-count: 2", class: 3)

    #expect(raised.priority == 1)
    #expect(lowest.priority == 3)
  }

  @Test(arguments: [
    ("x-envoy-expected-rq-timeout-ms: 250", 250), ("x-request-timeout-ms: 0", 0),
    ("x-request-timeout-ms: 5000", 1_000), ("x-request-timeout-ms: 1e2", 1_000),
    ("x-request-timeout-ms: 9999999999", 1_000), ("grpc-timeout: 300m", 300),
    ("grpc-timeout: 2S", 1_000), ("grpc-timeout: 99999999H", 1_000),
    ("grpc-timeout: 999999999m", 1_000), ("grpc-timeout: m", 1_000), ("grpc-timeout: 5", 1_000),
    ("grpc-timeout: 5000u", 5),
  ])
  func `the shortest time of a trusted caller wins`(_ item: (String, Int64)) throws {
    let demand = try Self.demand(item.0, "x-request-timeout-ms: 2000", isTrusted: true)

    #expect(Self.milliseconds(demand) == item.1)
    #expect(!demand.isStrangers)
  }

  @Test func `of a stranger's times only that of a call counts, and is known as a stranger's`()
    throws
  {
    let others = try Self.demand("x-request-timeout-ms: 1", "x-envoy-expected-rq-timeout-ms: 1")
    let call = try Self.demand("grpc-timeout: 20m")

    #expect(Self.milliseconds(others) == 1_000)
    #expect(Self.milliseconds(call) == 20)
    #expect(call.isStrangers)
  }

  @Test func `a call keeps its own time beside the route's`() throws {
    let demand = try Self.demand("grpc-timeout: 60S")

    #expect(Self.milliseconds(demand) == 1_000)
    #expect(demand.callDeadline == Self.now + .seconds(60))
  }

  @Test(arguments: [
    (0, "     0"), (7, "     7"), (1_500, "  1500"), (999_999, "999999"), (1_000_000, "999999"),
    (UInt64.max, "999999"),
  ])
  func `a number fills its place from the right`(_ item: (UInt64, String)) {
    var bytes = [UInt8](repeating: 0x2A, count: 8)
    let isFull = bytes.withUnsafeMutableBufferPointer { bytes -> Bool in
      guard let base = bytes.baseAddress else { return true }
      var writer = ByteWriter(base, capacity: 7)
      writer.aligned(item.0, width: 6)
      writer.aligned(item.0, width: 6)
      return writer.isFull
    }

    #expect(String(decoding: bytes, as: UTF8.self) == item.1 + "**")
    #expect(isFull)
  }
}
