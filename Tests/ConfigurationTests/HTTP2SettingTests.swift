import Configuration
import Testing
import Units

/// How a listener's HTTP/2 is written, and what of it is refused.
@Suite struct HTTP2SettingTests {
  private static func parse(_ http2: String) throws -> LoadedConfiguration {
    let text = ConfigurationFaultTests.good.replacing(
      "    address: 127.0.0.1:8080\n",
      with: "    address: 127.0.0.1:8080\n    h2: \(http2)\n"
    )
    return try ConfigurationSource.parse(text, file: "x.yaml")
  }

  private static func faults(_ http2: String) -> [String] {
    report({ "\($0.line):\($0.column) \($0.path)" }, of: { try parse(http2) })
  }

  @Test func `what is left out has the defaults of the field`() throws {
    let loaded = try ConfigurationSource.parse(ConfigurationFaultTests.good, file: "x.yaml")
    let http2 = loaded.settings.listeners[0].http2

    #expect((http2.maximumStreams, http2.window, http2.connectionWindow) == (100, 65_536, 1 << 20))
    #expect(http2.resets == .init(burst: 1_000, perSecond: 33))
    #expect(http2.settingsTimeout == .seconds(10))
  }

  @Test func `what is written out reads back`() throws {
    let loaded = try Self.parse(
      "{maximumStreams: 7, window: 128KiB, connectionWindow: 2MiB, resetsPerSecond: 0, "
        + "resetBurst: 5, settingsTimeout: 1s, pingInterval: 2s, pingTimeout: 3s, "
        + "budgets: {tinyFrames: {burst: 9}, pings: {perSecond: 8}}}"
    )
    let http2 = loaded.settings.listeners[0].http2
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")

    #expect((http2.maximumStreams, http2.window, http2.connectionWindow) == (7, 131_072, 2 << 20))
    #expect(http2.resets == .init(burst: 5, perSecond: 0))
    #expect(http2.tinyFrames == .init(burst: 9, perSecond: 2_000))
    #expect(http2.pings == .init(burst: 500, perSecond: 8))
    #expect((http2.pingInterval, http2.pingTimeout) == (.seconds(2), .seconds(3)))
    #expect(back.settings == loaded.settings)
  }

  @Test(
    arguments: [
      ("{maximumStreams: 0}", "5:26 listeners[0].h2.maximumStreams"),
      ("{maximumStreams: 1001}", "5:26 listeners[0].h2.maximumStreams"),
      ("{window: 65534}", "5:18 listeners[0].h2.window"),
      ("{window: 17MiB}", "5:18 listeners[0].h2.window"),
      ("{window: 2MiB}", "5:18 listeners[0].h2.window"),
      ("{window: 64KB}", "5:18 listeners[0].h2.window"),
      ("{window: 2MiB, connectionWindow: 1MiB}", "5:42 listeners[0].h2.connectionWindow"),
      ("{resetBurst: 0}", "5:22 listeners[0].h2.resetBurst"),
      ("{resetsPerSecond: -1}", "5:27 listeners[0].h2.resetsPerSecond"),
      ("{pingTimeout: 1ms}", "5:23 listeners[0].h2.pingTimeout"),
      ("{streams: 1}", "5:10 listeners[0].h2.streams"),
      ("{budgets: {resets: {burst: 1}}}", "5:20 listeners[0].h2.budgets.resets"),
      ("{budgets: {pings: {burst: 0}}}", "5:35 listeners[0].h2.budgets.pings.burst"),
      (
        "{budgets: {fields: {perSecond: 1000001}}}",
        "5:40 listeners[0].h2.budgets.fields.perSecond"
      ),
    ]
  )
  func `a fault is named with its place`(_ item: (String, String)) {
    #expect(Self.faults(item.0) == [item.1])
  }
}
