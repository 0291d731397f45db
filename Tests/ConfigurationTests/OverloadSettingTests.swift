import Configuration
import Testing
import Units

/// At which pressures the edge itself sheds: how it is written, and what of it is refused.
@Suite struct OverloadSettingTests {
  private static func parse(_ overload: String) throws -> Settings {
    let text = ConfigurationFaultTests.good + "\noverload: \(overload)\n"
    return try ConfigurationSource.parse(text, file: "x.yaml").settings
  }

  private static func faults(_ overload: String) -> [String] {
    report(
      { "\($0.line > 1 && $0.column > 1 ? "" : "no place: ")\($0.path)" },
      of: { try parse(overload) }
    )
  }

  @Test func `what CONFIGURATION shows means what it says, and is the default`() throws {
    let setting = try Self.parse("{loopDelay: 50ms, memory: 85%, inFlight: 20000}").overload

    #expect(setting == OverloadSetting())
    #expect(setting.loopDelay == .milliseconds(50))
    #expect(setting.memory == 0.85)
    #expect(setting.inFlight == 20_000)
    #expect(setting.readinessAbove == nil)
    #expect(try Self.parse("{readinessAbove: off}").overload.readinessAbove == nil)
  }

  @Test(arguments: [
    "{}", "{loopDelay: 1ms}", "{loopDelay: 1m}", "{memory: 29%}", "{memory: 1}", "{inFlight: 1}",
    "{inFlight: 4194304, readinessAbove: 90%}", "{readinessAbove: 0.07}",
  ])
  func `what is written reads back from what is in effect`(_ text: String) throws {
    let settings = try Self.parse(text)
    let effective = settings.effectiveYAML()
    let back = try ConfigurationSource.parse(effective, file: "y.yaml").settings

    #expect(effective.contains("\noverload: {loopDelay: "))
    #expect(back.overload == settings.overload)
    #expect((settings.overload == OverloadSetting()) == (text == "{}"))
  }

  @Test(arguments: [
    ("{loopDelay: 999us}", "overload.loopDelay"), ("{loopDelay: 61s}", "overload.loopDelay"),
    ("{loopDelay: 50}", "overload.loopDelay"), ("{memory: 0%}", "overload.memory"),
    ("{memory: 101%}", "overload.memory"), ("{memory: off}", "overload.memory"),
    ("{memory: -1}", "overload.memory"), ("{inFlight: 0}", "overload.inFlight"),
    ("{inFlight: 4194305}", "overload.inFlight"), ("{inFlight: many}", "overload.inFlight"),
    ("{readinessAbove: 0}", "overload.readinessAbove"),
    ("{readinessAbove: on}", "overload.readinessAbove"), ("{inflight: 5}", "overload.inflight"),
    ("50ms", "overload"), ("[50ms]", "overload"),
  ])
  func `a fault is named with its place`(_ item: (String, String)) {
    #expect(Self.faults(item.0) == [item.1])
  }

  @Test func `all faults are told at once`() {
    #expect(Self.faults("{loopDelay: 0s, memory: 2, inFlight: -1, readinessAbove: 2}").count == 4)
  }
}
