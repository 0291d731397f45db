internal import Reactor
internal import Telemetry
internal import Units
internal import Upstream

/// Idle upstream connections: the most recently used one goes out first, the oldest one expires.
extension Worker {
  /// Takes an idle connection to an endpoint.
  ///
  /// `mustBeOpen`: Whether the request could not be repeated if the connection turned
  ///   out closed: then the kernel is asked first.
  /// Returns: The connection, or -1.
  func takeIdle(_ place: Int32, mustBeOpen: Bool) -> Int32 {
    var index = endpoints[Int(place)].newestIdle
    while index >= 0 {
      let older = upstreams[index].pointee.older
      switch mustBeOpen ? quiet(upstreams[index].pointee.transport) : .quiet {
      case .quiet:
        unlinkIdle(index)
        return index
      case .unknown: break
      case .broken:
        unlinkIdle(index)
        meter.staleConnection(upstreams[index].pointee.metrics)
        closeUpstream(index, reset: false)
      }
      index = older
    }
    return -1
  }

  /// Puts a connection that may carry another request into its endpoint's pool.
  func makeIdle(_ index: Int32) {
    let upstream = upstreams[index]
    let endpoint = endpoints + Int(upstream.pointee.endpoint)
    upstream.pointee.phase = .idle
    upstream.pointee.exchange = -1
    upstream.pointee.idleUntil = reactor.now + upstream.pointee.idleTimeout
    reactor.timers.set(upstream.pointee.timer, at: upstream.pointee.idleUntil)
    upstream.pointee.older = endpoint.pointee.newestIdle
    upstream.pointee.newer = -1
    if upstream.pointee.older >= 0 {
      upstreams[upstream.pointee.older].pointee.newer = index
    } else {
      endpoint.pointee.oldestIdle = index
    }
    endpoint.pointee.newestIdle = index
    endpoint.pointee.idleCount += 1
    meter.idle(upstream.pointee.metrics, +1)
    shared.countIdle(number, upstream.pointee.service, +1)
    if Int(endpoint.pointee.idleCount) > Self.maximumIdlePerEndpoint {
      let oldest = endpoint.pointee.oldestIdle
      unlinkIdle(oldest)
      closeUpstream(oldest, reset: false)
    }
    if !wishes.isEmpty, reactor.now < wishesUntil {
      let (service, place) = (upstream.pointee.service, upstream.pointee.endpoint)
      grantWish(service)
      grantWish(~place)
    }
  }

  /// Idle connections that one worker keeps to one endpoint; beyond it the oldest goes.
  static let maximumIdlePerEndpoint = 1_024

  private func unlinkIdle(_ index: Int32) {
    let upstream = upstreams[index]
    let endpoint = endpoints + Int(upstream.pointee.endpoint)
    if upstream.pointee.newer >= 0 {
      upstreams[upstream.pointee.newer].pointee.older = upstream.pointee.older
    } else {
      endpoint.pointee.newestIdle = upstream.pointee.older
    }
    if upstream.pointee.older >= 0 {
      upstreams[upstream.pointee.older].pointee.newer = upstream.pointee.newer
    } else {
      endpoint.pointee.oldestIdle = upstream.pointee.newer
    }
    endpoint.pointee.idleCount -= 1
    upstream.pointee.phase = .busy
    meter.idle(upstream.pointee.metrics, -1)
    shared.countIdle(number, upstream.pointee.service, -1)
  }

  func upstreamTimerFired(_ index: Int32) {
    let upstream = upstreams[index]
    guard upstream.pointee.phase == .idle else { return }
    guard upstream.pointee.idleUntil <= reactor.now else {
      return reactor.timers.set(upstream.pointee.timer, at: upstream.pointee.idleUntil)
    }
    meter.timedOut(.upstreamIdle)
    unlinkIdle(index)
    closeUpstream(index, reset: false)
  }

  /// An idle connection spoke or ended: it is of no use.
  func idleBroken(_ index: Int32) {
    unlinkIdle(index)
    closeUpstream(index, reset: false)
  }

  /// A request goes out on a connection, and its endpoint owes it a response head.
  func awaitHead(_ index: Int32) {
    upstreams[index].pointee.isAwaited = true
    endpoints[Int(upstreams[index].pointee.endpoint)].began(at: reactor.now)
  }

  /// The same for one that waited for its client, and is whole now.
  func awaitHeadAgain(_ index: Int32) {
    guard index >= 0, !upstreams[index].pointee.isAwaited else { return }
    upstreams[index].pointee.isAwaited = true
    endpoints[Int(upstreams[index].pointee.endpoint)].beginOwing(at: reactor.now)
  }

  /// The endpoint of a connection owes it no response head: that came, or nobody waits for it, or it is
  /// the client that has to go on.
  func endAwaiting(_ index: Int32) {
    guard index >= 0, upstreams[index].pointee.isAwaited else { return }
    upstreams[index].pointee.isAwaited = false
    endpoints[Int(upstreams[index].pointee.endpoint)].endOwing()
  }

  /// Closes a connection that no pool holds, and forgets it.
  func closeUpstream(_ index: Int32, reset: Bool) {
    let upstream = upstreams[index]
    let endpoint = endpoints + Int(upstream.pointee.endpoint)
    // One in the pool was unlinked before; all others count as in flight while an exchange has them.
    if upstream.pointee.exchange >= 0 { endpoint.pointee.inFlight -= 1 }
    endAwaiting(index)
    if upstream.pointee.transport.isStream {
      drop(&upstream.pointee.input)
      closeTransport(upstream.pointee.transport, reset: reset)
      return upstreams.release(index)
    }
    endpoint.pointee.connections -= 1
    if upstream.pointee.phase != .connecting {
      meter.upstreamFellSilent(upstream.pointee.metrics.http1)
    }
    drop(&upstream.pointee.input)
    closeTransport(upstream.pointee.transport, reset: reset)
    reactor.timers.release(upstream.pointee.timer)
    returnRoom(upstream.pointee.endpoint, upstream.pointee.service)
    meter.upstreamClosed(upstream.pointee.metrics)
    upstreams.release(index)
  }

  /// Closes every idle connection to an endpoint that left the configuration; sessions end with their
  /// streams.
  func closeIdle(_ place: Int32) {
    while endpoints[Int(place)].newestIdle >= 0 { idleBroken(endpoints[Int(place)].newestIdle) }
    while endpoints[Int(place)].firstSession >= 0 {
      dismissSession(endpoints[Int(place)].firstSession)
    }
  }
}
