/// Configurations for edges of these tests.
enum EdgeText {
  /// Answers everything by itself.
  static func responding(ports: [UInt16], body: String = "hello") -> String {
    frame(ports) + """
      routes:
        - name: all
          match: {pathPrefix: /}
          respond: {status: 200, body: "\(body)\\n"}
          policies: {auth: none}

      """
  }

  static func responding(port: UInt16) -> String { responding(ports: [port]) }

  /// Asks a service on a port of this machine.
  static func proxying(port: UInt16, to upstream: UInt16) -> String {
    frame([port]) + """
      services: [{name: origin, endpoints: [127.0.0.1:\(upstream)]}]
      routes:
        - name: all
          match: {pathPrefix: /}
          class: normal
          upstream: {service: origin}
          policies: {auth: none, timeoutMs: 30000}

      """
  }

  private static func frame(_ ports: [UInt16]) -> String {
    let listeners = ports.enumerated().map { "{name: public-\($0), address: 127.0.0.1:\($1)}" }
    return """
      environment: test
      workers: 2
      admin: {address: 127.0.0.1:0}
      drain: {grace: 100ms, deadline: 20s}
      accessLog: {output: off}
      listeners: [\(listeners.joined(separator: ", "))]

      """
  }
}
