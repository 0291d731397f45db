internal import HTTPCodec
internal import Reactor
internal import Units

/// The PROXY prelude that tells a service who the client is.
///
/// It speaks for everything that follows on the connection, so one that carries it is closed after
/// its exchange rather than kept for somebody else.
extension Worker {
  /// Queues the prelude of a fresh connection, before anything else; does nothing where none is
  /// wanted.
  ///
  /// Returns: `false` when there is no buffer.
  func sendPrelude(
    _ upstream: UnsafeMutablePointer<UpstreamConnection>,
    on socket: Int32
  ) -> Bool {
    let exchange = exchanges[upstream.pointee.exchange]
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    guard service.pointee.prelude != .none else { return true }
    let block = reactor.pool.acquire()
    guard block >= 0 else { return false }
    let count = writePrelude(
      service.pointee.prelude,
      connections[exchange.pointee.connection],
      into: reactor.pool.bytes(block)
    )
    meter.sentUpstream(count)
    return reactor.write(socket, block: block, start: 0, count: count)
  }

  private func writePrelude(
    _ version: ClientPrelude,
    _ connection: UnsafeMutablePointer<Connection>,
    into output: UnsafeMutablePointer<UInt8>
  ) -> Int {
    let socket = socket(under: connection.pointee.transport)
    let local = KernelAddress(localOf: reactor.descriptor(socket))
    let destination = ProxyAddress(local?.ip ?? IPBytes(high: 0, low: 0), local?.port ?? 0)
    let source =
      connection.pointee.flags.contains(.peerIsUnix)
      ? nil : ProxyAddress(connection.pointee.peer, connection.pointee.peerPort)
    if version == .version1 {
      return ProxyWriter.version1(source: source, destination: destination, into: output)
    }
    return ProxyWriter.version2(source: source, destination: destination, into: output)
  }

  /// The reactor's socket at the bottom of a transport.
  private func socket(under transport: Transport) -> Int32 {
    var transport = transport
    if transport.isStream {
      transport = sessions[links[Int(transport.index)].session].pointee.transport
    }
    return transport.isSecure ? secureLinks[transport.index].pointee.socket : transport.index
  }
}

extension ProxyAddress {
  fileprivate init(_ address: IPBytes, _ port: UInt16) {
    self.init(high: address.high, low: address.low, port: port)
  }
}
