import Foundation
import TLS
import Units

/// Stands before a scripted service and speaks TLS for it.
final class TLSFront: Sendable {
  /// What a test may want other than the common.
  struct Options {
    var tls: (inout TLSServerSettings) -> Void = { _ in }
    /// Ends without close_notify when the service ends its connection.
    var cutsAtEnd = false
    /// The port of connections that choose HTTP/2, where it is another.
    var http2: UInt16?
    /// Takes a PROXY prelude off before TLS.
    var takesPrelude = false
  }

  let port: UInt16
  private let listener: Socket
  private let settings: TLSServerSettings
  private let http2: UInt16?
  private let cutsAtEnd: Bool
  private let takesPrelude: Bool
  private let state: Locked<State>

  private struct State {
    var context: TLSServerContext
    /// The port that connections go to.
    var service: UInt16
    var tunnels: [TLSTunnel] = []
    var preludes: [[UInt8]] = []
  }

  convenience init(
    _ files: WireAuthority.Files = WireAuthority.shared.server,
    before upstream: ScriptedUpstream,
    _ change: (inout Options) -> Void = { _ in }
  ) throws {
    try self.init(files, port: upstream.port, change)
  }

  /// One that speaks HTTP/2 alone, unless `change` says otherwise.
  convenience init(
    _ files: WireAuthority.Files = WireAuthority.shared.server,
    h2 upstream: HTTP2Upstream,
    _ change: (inout Options) -> Void = { _ in }
  ) throws {
    try self.init(files, port: upstream.port) { options in
      options.tls = { $0.applicationProtocols = [.http2] }
      change(&options)
    }
  }

  /// One that speaks HTTP/1.1 alone, and says so.
  convenience init(
    _ files: WireAuthority.Files = WireAuthority.shared.server,
    http1 upstream: ScriptedUpstream
  ) throws {
    try self.init(files, port: upstream.port) { options in
      options.tls = { $0.applicationProtocols = [.http1] }
    }
  }

  private init(
    _ files: WireAuthority.Files,
    port service: UInt16,
    _ change: (inout Options) -> Void
  ) throws {
    var options = Options()
    change(&options)
    var settings = TLSServerSettings(
      certificates: [CertificateFiles(certificate: files.certificate, key: files.key)]
    )
    options.tls(&settings)
    self.settings = settings
    state = Locked(State(context: try Self.context(settings), service: service))
    http2 = options.http2
    cutsAtEnd = options.cutsAtEnd
    takesPrelude = options.takesPrelude
    listener = try Socket.listening()
    port = listener.localPort
    Thread.detachNewThread { [self] in run() }
  }

  private static func context(_ settings: TLSServerSettings) throws -> TLSServerContext {
    try TLSServerContext(settings, tickets: TicketKeys(at: Instant(0)))
  }

  /// Comes back as another: connections from now on choose `spoken` and go to `port`.
  func become(_ spoken: ApplicationProtocol, before port: UInt16) throws {
    var settings = settings
    settings.applicationProtocols = [spoken]
    let context = try Self.context(settings)
    state.withLock {
      $0.context = context
      $0.service = port
    }
  }

  var endpoint: String { "127.0.0.1:\(port)" }

  /// Connections so far, in the order they came.
  var tunnels: [TLSTunnel] { state.withLock { $0.tunnels } }

  /// Preludes so far.
  var preludes: [[UInt8]] { state.withLock { $0.preludes } }

  func stop() { listener.interrupt() }

  private func run() {
    while let wire = (try? listener.accepted(by: Deadline(after: .seconds(600)))) ?? nil {
      let prelude = takesPrelude ? SentPrelude.take(from: wire) : []
      // Under the lock: whoever sees a request of a tunnel finds the tunnel listed.
      let isServed = state.withLock { state in
        if takesPrelude { state.preludes.append(prelude) }
        let tunnel = try? TLSTunnel(
          serving: wire,
          context: state.context,
          before: state.service,
          http2: http2,
          cutsAtEnd: cutsAtEnd
        )
        guard let tunnel else { return false }
        state.tunnels.append(tunnel)
        return true
      }
      if !isServed { wire.close() }
    }
    listener.close()
  }
}

/// A PROXY prelude as the services of tests read it, byte by byte.
enum SentPrelude {
  static func take(from socket: Socket) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < 600, !isWhole(bytes) {
      guard let next = try? socket.receive(atMost: 1, by: Deadline()).get() else { break }
      bytes += next
    }
    return bytes
  }

  private static func isWhole(_ bytes: [UInt8]) -> Bool {
    guard bytes.first == 0x0D else { return bytes.last == 0x0A }
    return bytes.count >= 16 && bytes.count == 16 + Int(bytes[14]) << 8 + Int(bytes[15])
  }
}

extension EdgeSettings {
  /// A service `backend` that is spoken to over TLS.
  ///
  /// `wireProtocol`: What is spoken, `tls`: the block, by default one that believes the shared authority.
  static func secureService(
    _ fronts: TLSFront...,
    speaks wireProtocol: String = "https",
    tls: String = "authorities: \(WireAuthority.shared.bundle), serverName: edge.test",
    more: String = ""
  ) -> EdgeSettings {
    EdgeSettings(
      endpoints: fronts.map(\.endpoint),
      service: "protocol: \(wireProtocol), tls: {\(tls)}\(more.isEmpty ? "" : ", \(more)")"
    )
  }
}
