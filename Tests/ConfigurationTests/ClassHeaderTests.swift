import Configuration
import Testing

/// How the field that names a class is written, and what of it is refused.
@Suite struct ClassHeaderTests {
  private static func parse(_ header: String) throws -> Settings {
    let text = ConfigurationFaultTests.good + "\nclassHeader: \(header)\n"
    return try ConfigurationSource.parse(text, file: "x.yaml").settings
  }

  private static func faults(_ header: String) -> [String] {
    report({ "\($0.line > 1 ? "" : "no place: ")\($0.path)" }, of: { try parse(header) })
  }

  @Test(arguments: [
    "{name: x-importance}", "{trustedFrom: nobody}",
    "{name: x-criticality, trustedFrom: trusted-proxies}",
  ])
  func `what is written reads back from what is in effect`(_ text: String) throws {
    let settings = try Self.parse(text)
    let back = try ConfigurationSource.parse(settings.effectiveYAML(), file: "y.yaml").settings

    #expect(back.classHeader == settings.classHeader)
    #expect((settings.classHeader == ClassHeaderSetting()) == text.contains("trusted-proxies"))
  }

  @Test(arguments: [
    ("{name: importance}", "classHeader.name"), ("{name: X-Importance}", "classHeader.name"),
    ("{name: \"x-a b\"}", "classHeader.name"), ("{name: x-request-id}", "classHeader.name"),
    ("{name: x-forwarded-for}", "classHeader.name"),
    ("{name: x-envoy-attempt-count}", "classHeader.name"),
    ("{name: x-\(String(repeating: "a", count: 63))}", "classHeader.name"),
    ("{trustedFrom: authenticated}", "classHeader.trustedFrom"),
    ("{trustedFrom: everybody}", "classHeader.trustedFrom"),
    ("x-importance", "classHeader"), ("{header: x-a}", "classHeader.header"),
  ])
  func `a fault is named with its place`(_ item: (String, String)) {
    #expect(Self.faults(item.0) == [item.1])
  }
}
