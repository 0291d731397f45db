import Configuration
import Testing
import Units

@testable import Edge
@testable import Upstream

struct BreakerSettingTests {
  @Test func `a breaker works with all that is configured of it`() {
    var setting = BreakerSetting()
    setting.consecutiveFailures = 7
    setting.failureRatio = 0.25
    setting.minimumRequests = 9
    setting.window = .seconds(1)
    setting.open = .seconds(2)
    setting.maximumOpen = .seconds(3)
    setting.slowCall = .milliseconds(4)
    setting.slowRatio = 0.75
    setting.probes = 5
    setting.ramp = .seconds(6)
    setting.failures = [.serverError]

    var expected = BreakerSettings()
    expected.consecutiveFailures = 7
    expected.failureRatio = 0.25
    expected.minimumRequests = 9
    expected.window = .seconds(1)
    expected.open = .seconds(2)
    expected.maximumOpen = .seconds(3)
    expected.slowCall = .milliseconds(4)
    expected.slowRatio = 0.75
    expected.probes = 5
    expected.ramp = .seconds(6)
    expected.failures = .serverError

    #expect(BreakerSettings(setting) == expected)
  }

  @Test(arguments: [Nanoseconds.seconds(1), .seconds(600)])
  func `a window that is configured is the one that outcomes are counted by`(window: Nanoseconds) {
    var setting = BreakerSetting()
    setting.window = window
    let counting = BreakerSettings(setting).counting
    let slice = Nanoseconds(window.rawValue / Int64(BreakerCounting.slices))
    let began = Instant(1_000_000_000_000)

    let first = counting.slice(at: began)

    #expect(counting.slice(at: began + Nanoseconds(slice.rawValue * 5 / 2)) - first <= 3)
    #expect(counting.slice(at: began + Nanoseconds(slice.rawValue * 5 / 2)) - first >= 2)
  }
}
