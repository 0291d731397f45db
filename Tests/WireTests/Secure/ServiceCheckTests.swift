import Configuration
import Edge
import Foundation
import Testing

extension WireTests {
  /// Files of a service's TLS, judged with the configuration.
  struct ServiceCheckTests {
    private static let own = WireAuthority.shared.server
    private static let other = WireAuthority.stranger.server
    private static let bundle = WireAuthority.shared.bundle

    private static func faults(_ tls: String) throws -> [Fault] {
      let text = """
        listeners: [{name: public, address: "127.0.0.1:0"}]
        services:
          - name: backend
            protocol: https
            endpoints: ["127.0.0.1:1"]
            tls:
              \(tls.replacing(", ", with: "\n      "))
        routes:
          - {name: all, match: {pathPrefix: /}, upstream: {service: backend}, policies: {auth: none}}

        """
      let loaded = try ConfigurationSource.parse(text, file: "wire.yaml")
      do throws(ConfigurationError) {
        try CertificateCheck.judge(loaded, file: "wire.yaml")
        return []
      } catch {
        return error.faults
      }
    }

    @Test func `files that can be used are no fault`() throws {
      let tls = "authorities: \(Self.bundle), certificate: \(Self.own.certificate), "
      #expect(try Self.faults(tls + "key: \(Self.own.key)").isEmpty)
    }

    @Test(arguments: [
      ("authorities: /nowhere.pem", 7, "authorities", "cannot be read"),
      ("authorities: \(own.key)", 7, "authorities", "no certificate"),
      (
        "authorities: \(bundle), certificate: \(own.certificate), key: \(other.key)", 9, "key",
        "does not hold the key of"
      ),
      (
        "authorities: \(bundle), certificate: /nowhere.pem, key: \(own.key)", 8, "certificate",
        "cannot be read"
      ),
    ])
    func `a file that cannot be used is named where it stands`(
      tls: String,
      line: Int,
      field: String,
      words: String
    ) throws {
      let faults = try Self.faults(tls)
      #expect(faults.count == 1)
      #expect(faults.first?.line == line)
      #expect(faults.first?.path == "services[0].tls.\(field)")
      #expect(faults.first?.message.contains(words) == true)
    }
  }
}
