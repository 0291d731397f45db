internal import Reactor
internal import Telemetry
internal import Units

/// What is kept of a request whose response waits for its client.
extension Worker {
  /// Gives the block of a request's head back and keeps the names that the access log needs, in the
  /// block that the session's streams share.
  ///
  /// A client can have a hundred streams wait by opening no window, and each would hold a block for
  /// the sake of a few words. Nothing is repeated once the response has begun, so that the head
  /// itself has no more use; those who read get here too rarely for the copy to matter.
  func keepNames(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ connection: UnsafeMutablePointer<Connection>
  ) {
    let link = links + Int(connection.pointee.transport.index)
    guard exchange.pointee.phase == .relaying, exchange.pointee.requestBlock >= 0,
      !exchange.pointee.flags.contains(.hasNamesOnly),
      !link.pointee.flags.contains(.isGone)
    else { return }
    let session = sessions[link.pointee.session]
    // The log takes no more of a path.
    let path = min(Int(exchange.pointee.pathLength), AccessLogRing.maximumFieldLength)
    let method = min(Int(exchange.pointee.methodLength), AccessLogRing.maximumFieldLength)
    let identifier = Int(exchange.pointee.identifierLength)
    let start = shareRoom(session, method + path + identifier)
    guard start >= 0 else { return }
    let own = UnsafePointer(reactor.pool.bytes(exchange.pointee.requestBlock))
    let shared = reactor.pool.bytes(session.pointee.sharedBlock) + start
    shared.update(from: own + Int(exchange.pointee.methodStart), count: method)
    (shared + method).update(from: own + Int(exchange.pointee.pathStart), count: path)
    (shared + method + path)
      .update(from: own + Int(exchange.pointee.identifierStart), count: identifier)
    reactor.pool.release(exchange.pointee.requestBlock)
    exchange.pointee.requestBlock = session.pointee.sharedBlock
    exchange.pointee.requestCount = 0
    exchange.pointee.methodStart = UInt16(start)
    exchange.pointee.methodLength = UInt16(method)
    exchange.pointee.pathStart = UInt16(start + method)
    exchange.pointee.pathLength = UInt16(path)
    exchange.pointee.identifierStart = UInt16(start + method + path)
    exchange.pointee.flags.insert(.hasNamesOnly)
    exchange.pointee.flags.remove(.canReplay)
  }
}
