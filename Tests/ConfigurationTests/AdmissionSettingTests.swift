import Configuration
import Testing

/// How a service's admission is written, and what of it is refused.
@Suite struct AdmissionSettingTests {
  private static func parse(_ admission: String) throws -> LoadedConfiguration {
    let text = ConfigurationFaultTests.good.replacing(
      "  - name: shop\n    endpoints:",
      with: "  - name: shop\n    admission: \(admission)\n    endpoints:"
    )
    #expect(text != ConfigurationFaultTests.good)
    return try ConfigurationSource.parse(text, file: "x.yaml")
  }

  private static func faults(_ admission: String) -> [String] {
    report({ "\($0.line > 1 ? "" : "no place: ")\($0.path)" }, of: { try parse(admission) })
  }

  @Test func `a service that says nothing is protected by the learned limit`() throws {
    let loaded = try ConfigurationSource.parse(ConfigurationFaultTests.good, file: "x.yaml")

    #expect(loaded.settings.services[0].admission == AdmissionSetting())
    #expect(loaded.settings.services[0].admission.mode == .enforce)
    #expect(loaded.settings.services[0].admission.limit == .latencyGradient)
  }

  @Test(arguments: [
    "{mode: enforce}", "{mode: shadow}", "{mode: \"off\"}", "{limit: vegas}", "{limit: aimd}",
    "{mode: shadow, limit: {kind: gradient2, minimum: 5, maximum: 80}, queue: {capacity: 7}}",
    "{limit: {kind: fixed, inFlight: 12}}", "{openStreams: 1}", "{openStreams: 70000}",
  ])
  func `what is written reads back from what is in effect`(_ text: String) throws {
    let loaded = try Self.parse(text)
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")

    #expect(back.settings.services == loaded.settings.services)
    let isDefault = loaded.settings.services[0].admission == AdmissionSetting()
    #expect(isDefault == (text == "{mode: enforce}"))
  }

  @Test func `the parts are where they belong`() throws {
    let setting = try Self.parse(
      "{mode: shadow, limit: {kind: aimd, minimum: 3, maximum: 9}, queue: {capacity: 5}}"
    ).settings.services[0].admission

    #expect(setting.mode == .shadow)
    #expect(setting.limit == .aimd)
    #expect((setting.minimum, setting.maximum, setting.queueCapacity) == (3, 9, 5))
  }

  @Test func `the bound of open streams follows the connections over HTTP 1 alone`() {
    var service = ServiceSetting(name: "shop", endpoints: [])
    #expect(service.openStreams == 921)
    service.maximumConnections = 1
    #expect(service.openStreams == 1)
    service.maximumConnections = .max
    #expect(service.openStreams == AdmissionSetting.largestLimit * 9 / 10)
    service.wireProtocol = .h2
    #expect(service.openStreams == 10_000)
    service.admission.openStreams = 7
    #expect(service.openStreams == 7)
  }

  @Test(arguments: [
    ("{mode: maybe}", "services[0].admission.mode"),
    ("enforce", "services[0].admission"),
    ("{limit: fixed}", "services[0].admission.limit"),
    ("{limit: {kind: fixed}}", "services[0].admission.limit"),
    ("{limit: {kind: ours}}", "services[0].admission.limit.kind"),
    ("{limit: {kind: vegas, inFlight: 9}}", "services[0].admission.limit.inFlight"),
    ("{limit: {kind: fixed, inFlight: 0}}", "services[0].admission.limit.inFlight"),
    ("{limit: {kind: fixed, inFlight: 2, maximum: 9}}", "services[0].admission.limit.maximum"),
    ("{limit: {minimum: 9, maximum: 8}}", "services[0].admission.limit.maximum"),
    ("{queue: {capacity: 0}}", "services[0].admission.queue.capacity"),
    ("{queue: {timeout: 1s}}", "services[0].admission.queue.timeout"),
    ("{classes: 3}", "services[0].admission.classes"),
    ("{openStreams: 0}", "services[0].admission.openStreams"),
    ("{openStreams: 1048577}", "services[0].admission.openStreams"),
    ("{openStreams: many}", "services[0].admission.openStreams"),
  ])
  func `a fault is named with its place`(_ item: (String, String)) {
    #expect(Self.faults(item.0) == [item.1])
  }
}
