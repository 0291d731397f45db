import Configuration
import Glibc
import Testing
import Units

@testable import Edge

struct ProcessReportTests {
  @Test(arguments: [
    ChildReport.ready(drainMilliseconds: 35_000, pidFile: "/var/lib/edge 1/spillway.pid"),
    .ready(drainMilliseconds: 0, pidFile: ""), .failed("port 80 is taken, a=b"),
    .bound(key: "unix:/run/a b", worker: 3), .dropped(key: "0.0.0.0:80", worker: 0), .alive,
    .reloading, .terms(drainMilliseconds: 9, pidFile: "/a b"), .reloaded, .upgrade,
  ])
  func `a report reads back as it was sent`(report: ChildReport) {
    #expect(ChildReport(text: report.text) == report)
  }

  @Test(arguments: [
    "", " ", "hello", "bound", "bound x y", "bound 1", "dropped 1 %", "ready", "ready x",
  ])
  func `what this version does not know is left alone`(text: String) {
    #expect(ChildReport(text: text) == nil)
  }

  @Test func `a channel keeps message bounds, carries a descriptor and tells the end`() throws {
    let (one, other) = try #require(PacketChannel.pair())
    let file = open("/dev/null", O_RDONLY)
    defer { close(other.descriptor) }

    one.send("first")
    one.send("second", passing: file)
    close(one.descriptor)
    close(file)

    #expect(other.receive() == .message("first", descriptor: nil))
    guard case .message("second", let passed?) = other.receive() else {
      Issue.record("no descriptor came along")
      return
    }
    #expect(fcntl(passed, F_GETFD) == FD_CLOEXEC)
    close(passed)
    #expect(other.receive() == .closed)
    #expect(!other.send("third"))
  }

  @Test func `a crash loop backs off from 100 ms to 10 s and is forgiven after 30 s`() {
    var backoff = RestartBackoff()

    let loop = (0..<9).map { _ in backoff.delay(served: .zero).milliseconds }
    let forgiven = backoff.delay(served: .seconds(30)).milliseconds

    #expect(loop == [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000])
    #expect(forgiven == 100)
  }

  @Test func `too few descriptors are said with what would be right`() {
    let fault = DescriptorLimit.fault(downstream: 1_000, upstream: 100, limit: 1_024)

    #expect(fault?.contains("need 1356 descriptors") == true)
    #expect(fault?.contains("LimitNOFILE=") == true)
    #expect(DescriptorLimit.fault(downstream: 500, upstream: 100, limit: 1_024) == nil)
    #expect(DescriptorLimit.fault(downstream: .max, upstream: .max, limit: 1_024) != nil)
  }

  @Test func `maxima count where they are stated, of services as of listeners`() {
    var listener = ListenerSetting(name: "public", address: .ip("127.0.0.1", port: 0))
    var service = ServiceSetting(name: "shop", endpoints: [])
    var settings = Settings()
    settings.listeners = [listener]
    settings.services = Array(repeating: service, count: 100)
    #expect(DescriptorLimit.fault(settings, limit: 1_024) == nil)

    service.maximumConnections = 500
    settings.services.append(service)
    #expect(DescriptorLimit.fault(settings, limit: 1_024) == nil)
    listener.maximumConnections = 400
    settings.listeners = [listener]

    let fault = DescriptorLimit.fault(settings, limit: 1_024)
    #expect(fault?.contains("(400 downstream, 500 upstream") == true)
  }

  @Test(arguments: OperationalLog.Format.allCases)
  func `no text can end a log line or forge a field`(format: OperationalLog.Format) {
    let line = OperationalLog.line([("message", "a\nlevel=error \"x\" \u{1B}[0m\\")], format)

    #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    #expect(line.contains(#"a\nlevel=error \"x\" \u001b[0m\\"#))
  }

  @Test func `log times are RFC 3339 in UTC`() {
    #expect(OperationalLog.time(1_700_000_000_007_000_000) == "2023-11-14T22:13:20.007Z")
  }
}
