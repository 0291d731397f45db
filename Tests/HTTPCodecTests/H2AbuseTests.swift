import HTTPCodec
import Testing
import Units

/// Attacks on a connection, one test each, named after it.
///
/// Each sends far more frames than any budget and looks for what ended the connection, and how
/// many frames that took.
struct H2AbuseTests {
  let server = H2Peer(isServer: true)

  init() { server.receive(H2Frames.hello) }

  /// Sends frames until the session ends.
  ///
  /// - Returns: How many frames it took, and the code of GOAWAY.
  func flood(
    of count: Int = 20_000,
    together: Int = 10,
    _ frames: (Int) -> [UInt8]
  ) -> (frames: Int, goAway: UInt32?) {
    var sent = 0
    var output: [UInt8] = []
    while sent < count, server.session.failure == nil {
      var bytes: [UInt8] = []
      for index in sent..<sent + together { bytes += frames(index) }
      server.receive(bytes)
      output = server.send()
      sent += together
    }
    return (sent, output.goAway)
  }

  func expect(
    _ reason: AbuseReason,
    within most: Int,
    _ result: (frames: Int, goAway: UInt32?)
  ) {
    #expect(server.session.failure == .abuse(reason))
    #expect(result.goAway == H2ErrorCode.enhanceYourCalm.rawValue)
    #expect(result.frames <= most)
    #expect(server.session.isFinished)
  }

  func id(_ index: Int) -> UInt32 { UInt32(index * 2 + 1) }

  @Test func `rapid reset, CVE-2023-44487`() {
    let result = flood { H2Frames.headers(id($0), H2Frames.get) + H2Frames.reset(id($0)) }

    expect(.rapidReset, within: 1_100, result)
    let delivered = server.notes.contains { if case .request = $0 { true } else { false } }
    #expect(!delivered, "requests that are reset at once cost nothing more")
  }

  @Test func `a session that its owner gives up says GOAWAY and nothing more`() {
    server.receive(H2Frames.headers(1, H2Frames.get))
    server.session.giveUp(for: .heldBodies)

    #expect(server.session.failure == .abuse(.heldBodies))
    #expect(server.send().goAway == H2ErrorCode.enhanceYourCalm.rawValue)
    #expect(server.session.isFinished)
    server.receive(H2Frames.headers(3, H2Frames.get))
    #expect(server.send().goAway == nil)
  }

  /// The owner of a session keeps what it knows of a stream by the stream's index: an end of one
  /// that it never heard of would end a stranger's.
  @Test func `a session that is cut tells no end of a stream that it did not announce`() {
    var bytes = H2Frames.headers(1, H2Frames.get) + H2Frames.reset(1)
    for index in 1...1_500 { bytes += H2Frames.frame(1, 5, id(index), [0x82]) }
    server.receive(bytes)
    _ = server.send()

    #expect(server.session.failure != nil)
    let ends = server.notes.contains { if case .closed = $0 { true } else { false } }
    #expect(!ends)
  }

  @Test func `reset flood, CVE-2019-9514`() {
    server.receive(H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders))
    expect(.rapidReset, within: 1_100, flood { _ in H2Frames.reset(1) })
  }

  @Test func `MadeYouReset by window overflow, CVE-2025-8671`() {
    let result = flood {
      H2Frames.headers(id($0), H2Frames.get) + H2Frames.windowUpdate(id($0), 0x7FFF_FFFF)
    }
    expect(.provokedReset, within: 300, result)
  }

  @Test func `MadeYouReset by a zero increment, CVE-2025-8671`() {
    let result = flood {
      H2Frames.headers(id($0), H2Frames.get) + H2Frames.windowUpdate(id($0), 0)
    }
    // nghttp2 makes it an error of the connection, which is within the RFC and cheaper.
    #expect(server.session.failure == .violation(.protocolError))
    #expect(result.frames <= 10)
  }

  @Test func `MadeYouReset by HEADERS on a half-closed stream, CVE-2025-8671`() {
    let result = flood {
      H2Frames.headers(id($0), H2Frames.get) + H2Frames.headers(id($0), [("x-a", "b")])
    }
    #expect(server.session.failure == .violation(.streamClosed))
    #expect(result.frames <= 10)
  }

  @Test func `MadeYouReset by DATA on a half-closed stream, CVE-2025-8671`() {
    let result = flood { H2Frames.headers(id($0), H2Frames.get) + H2Frames.data(id($0), [1]) }
    #expect(server.session.failure == .violation(.streamClosed))
    #expect(result.frames <= 10)
  }

  @Test func `MadeYouReset by PRIORITY of a wrong length, CVE-2025-8671`() {
    let result = flood {
      H2Frames.headers(id($0), H2Frames.get) + H2Frames.frame(0x2, 0, id($0), [0, 0, 0, 1])
    }
    #expect(server.session.failure == .violation(.frameSizeError))
    #expect(result.frames <= 10)
  }

  @Test func `MadeYouReset by PRIORITY on itself, CVE-2025-8671`() {
    let result = flood {
      H2Frames.headers(id($0), H2Frames.get)
        + H2Frames.frame(0x2, 0, id($0), H2Frames.word(id($0)) + [0])
    }
    // An error of the connection, which is cheaper than one of the stream.
    #expect(server.session.failure == .violation(.protocolError))
    #expect(result.goAway == 1)
    #expect(result.frames <= 10)
  }

  @Test func `MadeYouReset by malformed requests, CVE-2025-8671`() {
    let result = flood { H2Frames.headers(id($0), H2Frames.get + [("connection", "x")]) }
    expect(.provokedReset, within: 300, result)
  }

  @Test func `MadeYouReset by bodies past their length, CVE-2025-8671`() {
    let lines = H2Frames.post + [("content-length", "1")]
    let result = flood {
      H2Frames.headers(id($0), lines, flags: H2Frames.endHeaders)
        + H2Frames.data(id($0), [1, 2])
    }
    expect(.provokedReset, within: 300, result)
  }

  @Test func `more streams than allowed are refused, and then it ends`() {
    let result = flood { H2Frames.headers(id($0), H2Frames.get) }
    expect(.provokedReset, within: 400, result)
    #expect(server.workspace.streamCount <= 100)
  }

  @Test func `CONTINUATION flood, VU#421644`() {
    server.receive(H2Frames.headers(1, H2Frames.get, flags: H2Frames.endStream))
    let result = flood(together: 1) { _ in
      H2Frames.continuation(1, H2Frames.block([("x-a", "b")]))
    }
    expect(.continuationFlood, within: 10, result)
  }

  @Test func `empty CONTINUATION flood, CVE-2019-9518`() {
    server.receive(H2Frames.headers(1, H2Frames.get, flags: H2Frames.endStream))
    let result = flood(together: 1) { _ in H2Frames.continuation(1, []) }
    expect(.continuationFlood, within: 10, result)
  }

  @Test func `HPACK bomb: one entry named thousands of times`() {
    // An entry of nearly the whole table, then an index byte for each time it is named.
    let entry = H2Frames.literal(
      Array("x".utf8),
      [UInt8](repeating: 0x61, count: 4_000),
      prefix: 0x40
    )
    let start = H2Frames.block(H2Frames.get) + entry
    let result = flood(together: 1) { index in
      H2Frames.frame(
        0x1,
        H2Frames.endStream | H2Frames.endHeaders,
        id(index),
        index == 0 ? start : H2Frames.block(H2Frames.get) + [UInt8](repeating: 0xBE, count: 8_000)
      )
    }
    expect(.fieldFlood, within: 3, result)
  }

  @Test func `HPACK table thrash: long lists of entries that push each other out`() {
    var number = 0
    let result = flood(together: 1) { index in
      var block = H2Frames.block(H2Frames.get)
      for _ in 0..<95 {
        number += 1
        block += H2Frames.literal(Array("x-\(number)".utf8), [0x61], prefix: 0x40)
      }
      return H2Frames.frame(0x1, 0x5, id(index), block) + H2Frames.reset(id(index))
    }
    expect(.fieldFlood, within: 200, result)
  }

  @Test func `DATA of single bytes`() {
    server.receive(H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders))
    let result = flood { _ in H2Frames.data(1, [0x61]) }
    expect(.tinyFrameFlood, within: 10_100, result)
  }

  @Test func `frames on streams that the client passed over or reset`() {
    let late = H2Frames.headers(5, H2Frames.get) + H2Frames.headers(3, H2Frames.get)
    server.receive(late)
    #expect(server.session.failure == .violation(.protocolError))

    let other = H2Peer(isServer: true)
    other.receive(H2Frames.hello + H2Frames.headers(1, H2Frames.post, flags: 4))
    other.receive(H2Frames.reset(1) + H2Frames.data(1, [1]))
    #expect(other.session.failure == .violation(.streamClosed))
  }

  @Test func `zero-length headers, CVE-2019-9516`() {
    let result = flood(together: 1) { index in
      var block = H2Frames.block(H2Frames.get)
      for _ in 0..<90 { block += H2Frames.literal([], []) }
      return H2Frames.frame(0x1, 0x5, id(index), block)
    }
    expect(.fieldFlood, within: 40, result)
  }

  @Test func `PING flood, CVE-2019-9512`() {
    expect(.pingFlood, within: 600, flood { _ in H2Frames.ping() })
  }

  @Test func `PING acknowledgements that nobody asked for`() {
    expect(.pingFlood, within: 600, flood { _ in H2Frames.ping(H2Frames.acknowledgement) })
  }

  @Test func `SETTINGS flood, CVE-2019-9515`() {
    expect(.settingsFlood, within: 60, flood { _ in H2Frames.settings() })
  }

  @Test func `PRIORITY flood, CVE-2019-9513`() {
    let result = flood { H2Frames.frame(0x2, 0, id($0), H2Frames.word(0) + [16]) }
    expect(.priorityFlood, within: 600, result)
  }

  @Test func `PRIORITY_UPDATE flood`() {
    let result = flood {
      H2Frames.frame(0x10, 0, 0, H2Frames.word(id($0)) + Array("u=1".utf8))
    }
    expect(.priorityFlood, within: 600, result)
    #expect(server.workspace.streamCount == 0)
  }

  @Test func `empty DATA flood, CVE-2019-9518`() {
    server.receive(H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders))
    expect(.emptyFrameFlood, within: 120, flood { _ in H2Frames.data(1, []) })
  }

  @Test func `DATA of padding only`() {
    server.receive(H2Frames.headers(1, H2Frames.post, flags: H2Frames.endHeaders))
    let result = flood { _ in
      H2Frames.data(1, [9] + [UInt8](repeating: 0, count: 9), flags: H2Frames.padded)
    }
    expect(.emptyFrameFlood, within: 120, result)
  }

  @Test func `WINDOW_UPDATE flood`() {
    expect(.windowUpdateFlood, within: 1_100, flood { _ in H2Frames.windowUpdate(0, 1) })
  }

  @Test func `dribbled windows, CVE-2019-9511`() {
    server.receive(
      H2Frames.settings([(4, 0)]) + H2Frames.headers(1, H2Frames.get)
    )
    server.respond(1, 200, [], ends: false)
    let body = [UInt8](repeating: 0x61, count: 50_000)
    let result = body.withUnsafeBufferPointer { buffer in
      server.session.offer(stream(server, 1), buffer.baseAddress, count: body.count, .last)
      return flood(together: 1) { _ in H2Frames.windowUpdate(1, 1) }
    }
    expect(.windowUpdateFlood, within: 1_100, result)
  }

  @Test func `frames of unknown type`() {
    expect(.unknownFrameFlood, within: 300, flood { _ in H2Frames.frame(0xEE, 0, 0, [1]) })
  }

  @Test func `output that nobody reads, CVE-2019-9517`() {
    let settings = H2Settings(maximumStreams: 1_000, maximumQueued: 64)
    let server = H2Peer(isServer: true, settings)
    server.receive(H2Frames.hello)
    var index = 0
    while server.session.failure == nil, index < 1_000 {
      server.receive(H2Frames.headers(id(index), H2Frames.get))
      server.respond(Int32(id(index)), 200)
      index += 1
    }

    #expect(server.session.failure == .abuse(.unreadOutput))
    #expect(index < 100)
  }

  @Test func `acknowledgements that nobody reads, CVE-2019-9512`() {
    let settings = H2Settings(maximumQueued: 64)
    let server = H2Peer(isServer: true, settings)
    server.receive(H2Frames.hello)
    for _ in 0..<100 { server.receive(H2Frames.ping()) }

    #expect(server.session.failure == .abuse(.unreadOutput))
    #expect(server.send().goAway == 0xB)
  }

  @Test func `time and work bring the tokens back`() {
    for second in 0..<100 {
      server.now = Instant(Int64(second + 1) * 1_000_000_000)
      for _ in 0..<20 { server.receive(H2Frames.ping()) }
      _ = server.send()
    }
    #expect(server.session.failure == nil)

    for index in 0..<3_000 {
      let id = Int32(id(index))
      server.receive(
        H2Frames.headers(UInt32(id), H2Frames.get) + H2Frames.windowUpdate(0, 1)
          + H2Frames.frame(0x2, 0, UInt32(id), H2Frames.word(0) + [16])
      )
      server.respond(id, 200)
      _ = server.send()
    }
    #expect(server.session.failure == nil)
  }
}

/// The arithmetic of the budgets.
struct H2AbuseBudgetTests {
  @Test func `a burst is allowed, and one more is not`() {
    var settings = AbuseSettings()
    settings.pings = AbuseLimit(burst: 3, perSecond: 0)
    var budget = AbuseBudget(settings)

    let answers = (0..<5).map { _ in budget.charge(.pingFlood) }

    #expect(answers == [true, true, true, false, false])
    #expect(budget.exhausted == .pingFlood)
    let answer1 = budget.charge(.rapidReset)
    #expect(!answer1, "an exhausted budget stays exhausted")
  }

  @Test func `time refills up to the burst, in steps of 100 ms`() {
    var settings = AbuseSettings()
    settings.pings = AbuseLimit(burst: 10, perSecond: 10)
    var budget = AbuseBudget(settings)
    var now = Instant(0)
    budget.refill(at: now)
    let answer2 = budget.charge(.pingFlood, 10)
    #expect(answer2)

    now = now + .milliseconds(399)
    budget.refill(at: now)
    let answer3 = budget.charge(.pingFlood, 3)
    #expect(answer3)
    now = now + .milliseconds(1)
    budget.refill(at: now)
    let answer4 = budget.charge(.pingFlood, 1)
    #expect(answer4)
    budget.refill(at: now + .seconds(1_000_000_000))
    let answer5 = budget.charge(.pingFlood, 10)
    #expect(answer5)
    budget.refill(at: Instant(0))
    let answer6 = budget.charge(.pingFlood, 1)
    #expect(!answer6)
  }

  @Test func `time at the end of its range does no harm`() {
    var budget = AbuseBudget(AbuseSettings())
    for time in [Int64.min, .min + 1, 0, .max, .min, .max] { budget.refill(at: Instant(time)) }
    #expect(budget.exhausted == nil)
  }

  @Test func `small frames earn no window updates`() {
    var settings = AbuseSettings()
    settings.windowUpdates = AbuseLimit(burst: 2, perSecond: 0)
    var budget = AbuseBudget(settings)
    let answer7 = budget.charge(.windowUpdateFlood, 2)
    #expect(answer7)
    budget.earnData(AbuseBudget.usefulData - 1)
    var poor = budget
    let answer8 = poor.charge(.windowUpdateFlood)
    #expect(!answer8)
    budget.earnData(AbuseBudget.usefulData)
    let answer9 = budget.charge(.windowUpdateFlood, 2)
    #expect(answer9)
  }

  @Test(arguments: AbuseReason.allCases)
  func `every reason has a name of its own`(_ reason: AbuseReason) {
    let others = AbuseReason.allCases.filter { $0 != reason }
    #expect(others.allSatisfy { "\($0.reason)" != "\(reason.reason)" })
  }
}
