internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// An upgraded exchange: bytes in both directions until both sides ended, or both are silent.
extension Worker {
  func beginTunnel(_ index: Int32) {
    let exchange = exchanges[index]
    let upstream = upstreams[exchange.pointee.upstream]
    let connection = connections[exchange.pointee.connection]
    exchange.pointee.phase = .tunnel
    detach(index)
    exchange.pointee.deadline = .never
    setAttemptDeadline(exchange, .never)
    connection.pointee.phase = .tunnel
    resumeReading(connection)
    touchTunnel(exchange, connection)
    // What either side sent behind its head belongs to the tunnel already.
    guard forward(&upstream.pointee.input, to: connection.pointee.transport),
      forward(&connection.pointee.input, to: upstream.pointee.transport)
    else { return endTunnel(index, reset: true) }
    // A stream may have had its end before it became a tunnel.
    if connection.pointee.flags.contains(.peerEnded) {
      tunnelClientEnded(exchange.pointee.connection)
    }
  }

  private func forward(_ input: UnsafeMutablePointer<Input>, to transport: Transport) -> Bool {
    while !input.pointee.isEmpty {
      let block = input.pointee.block
      reactor.pool.retain(block)
      guard
        write(
          transport,
          block: block,
          start: Int(input.pointee.start),
          count: input.pointee.count
        )
      else { return false }
      consume(input, input.pointee.count)
    }
    return true
  }

  /// Queues what was received; a small message is copied, since it would hold a whole block.
  private func passOn(
    _ block: Int32,
    _ start: Int,
    _ count: Int,
    to transport: Transport
  ) -> Bool {
    if count <= Self.copyThreshold,
      append(transport, reactor.pool.bytes(block) + start, count: count)
    {
      reactor.pool.release(block)
      return true
    }
    return write(transport, block: block, start: start, count: count)
  }

  private func touchTunnel(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ connection: UnsafeMutablePointer<Connection>
  ) {
    exchange.pointee.lastActivity = reactor.now
    setDeadline(connection, reactor.now + limits(connection).upgradeIdle)
  }

  func tunnelFromClient(_ index: Int32, _ block: Int32, _ start: Int, _ count: Int) {
    let connection = connections[index]
    let exchange = exchanges[connection.pointee.exchange]
    let transport = upstreams[exchange.pointee.upstream].pointee.transport
    exchange.pointee.bytesIn += Int64(count)
    noteSentUpstream(transport, count)
    touchTunnel(exchange, connection)
    guard passOn(block, start, count, to: transport) else {
      return endTunnel(connection.pointee.exchange, reset: true)
    }
    guard isFull(transport) else { return }
    pauseReading(connection)
    notifyWhenThereIsRoom(transport)
  }

  func tunnelFromUpstream(_ index: Int32, _ block: Int32, _ start: Int, _ count: Int) {
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    exchange.pointee.bytesOut += Int64(count)
    noteSent(connection, count)
    touchTunnel(exchange, connection)
    guard passOn(block, start, count, to: connection.pointee.transport) else {
      return endTunnel(index, reset: true)
    }
    guard isFull(connection.pointee.transport) else { return }
    exchange.pointee.flags.insert(.upstreamPaused)
    pause(upstreams[exchange.pointee.upstream].pointee.transport)
    notifyWhenThereIsRoom(connection.pointee.transport)
  }

  func tunnelClientDrained(_ index: Int32) {
    let exchange = exchanges[connections[index].pointee.exchange]
    guard exchange.pointee.flags.contains(.upstreamPaused) else { return }
    exchange.pointee.flags.remove(.upstreamPaused)
    chooseReads(exchange)
    resume(upstreams[exchange.pointee.upstream].pointee.transport)
  }

  func tunnelUpstreamDrained(_ index: Int32) {
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    if connection.pointee.flags.contains(.peerEnded),
      exchange.pointee.flags.contains(.upstreamEnded)
    {
      return endTunnel(index, reset: false)
    }
    resumeReading(connection)
  }

  /// Each side's end is passed on; the second one ends the tunnel.
  func tunnelClientEnded(_ index: Int32) {
    let connection = connections[index]
    let exchange = exchanges[connection.pointee.exchange]
    let transport = upstreams[exchange.pointee.upstream].pointee.transport
    finishWriting(transport)
    guard exchange.pointee.flags.contains(.upstreamEnded) else { return }
    // The last bytes for the service are still on their way, perhaps.
    notifyWhenDrained(transport, below: 0)
  }

  func tunnelUpstreamEnded(_ index: Int32) {
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    exchange.pointee.flags.insert(.upstreamEnded)
    let transport = upstreams[exchange.pointee.upstream].pointee.transport
    let hasClientEnded = connection.pointee.flags.contains(.peerEnded)
    guard !hasClientEnded || queuedBytes(transport) > 0 else {
      return endTunnel(index, reset: false)
    }
    finishWriting(connection.pointee.transport)
    // What the client said last is still on its way.
    if hasClientEnded { notifyWhenDrained(transport, below: 0) }
  }

  func tunnelTimerFired(_ index: Int32) {
    meter.timedOut(.tunnelIdle)
    endTunnel(connections[index].pointee.exchange, reset: false)
  }

  /// Ends both connections; what is queued for the client is still sent unless it is reset.
  func endTunnel(_ index: Int32, reset: Bool) {
    let exchange = exchanges[index]
    let connection = exchange.pointee.connection
    if exchange.pointee.upstream >= 0 {
      closeUpstream(exchange.pointee.upstream, reset: reset)
      exchange.pointee.upstream = -1
    }
    account(index)
    endExchange(index)
    connections[connection].pointee.exchange = -1
    if reset {
      closeConnection(connection, reset: true)
    } else {
      closeWhenSent(connection, lingering: false)
    }
  }
}
