import Configuration
import Testing

/// How a listener's TLS is written, and what of it is refused.
@Suite struct TLSSettingTests {
  private static func parse(_ tls: String, file: String = "conf/x.yaml") throws
    -> LoadedConfiguration
  {
    let text = ConfigurationFaultTests.good.replacing(
      "    address: 127.0.0.1:8080\n",
      with: "    address: 127.0.0.1:8080\n    tls: \(tls)\n"
    )
    return try ConfigurationSource.parse(text, file: file)
  }

  private static func faults(_ tls: String) -> [String] {
    report({ "\($0.line):\($0.column) \($0.path)" }, of: { try parse(tls) })
  }

  @Test func `paths begin at the folder of the file`() throws {
    let tls = "{certificates: [{certificate: a.pem, key: /b.key, ocsp: c.der}]}"
    let loaded = try Self.parse(tls)

    let setting = try #require(loaded.settings.listeners[0].tls)
    #expect(
      setting.certificates == [.init(certificate: "conf/a.pem", key: "/b.key", ocsp: "conf/c.der")]
    )
    #expect(setting.clientCertificates == .off)
    #expect(setting.minimumVersion == .tls12)
    let key = try #require(loaded.files.first { $0.path == "/b.key" })
    #expect(key.field == "listeners[0].tls.certificates[0].key")
    #expect((key.line, key.column) == (5, 52))
  }

  @Test func `what is written out reads back`() throws {
    let tls =
      "{certificates: [{certificate: /a.pem, key: /b.key}], minimumVersion: \"1.3\", "
      + "clientCertificates: {mode: optional, authorities: /c.pem}}"
    let loaded = try Self.parse(tls)
    let back = try ConfigurationSource.parse(loaded.settings.effectiveYAML(), file: "y.yaml")

    #expect(back.settings == loaded.settings)
    #expect(back.settings.listeners[0].tls?.clientCertificates == .optional(authorities: "/c.pem"))
  }

  @Test(arguments: [
    ("{}", "5:10 listeners[0].tls"),
    ("{certificates: []}", "5:25 listeners[0].tls.certificates"),
    ("{certificates: [{certificate: a}]}", "5:26 listeners[0].tls.certificates[0]"),
    (
      "{certificates: [{certificate: a, key: b}], minimumVersion: \"1.1\"}",
      "5:69 listeners[0].tls.minimumVersion"
    ),
    (
      "{certificates: [{certificate: a, key: b}], clientCertificates: {mode: required}}",
      "5:73 listeners[0].tls.clientCertificates"
    ),
  ])
  func `what cannot be is refused where it stands`(tls: String, place: String) {
    #expect(Self.faults(tls) == [place])
  }
}
