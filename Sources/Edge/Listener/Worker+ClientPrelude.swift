internal import Configuration
internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// The PROXY prelude that a balancer puts before a client's bytes, and before TLS.
///
/// ```
/// prelude --address--> the client is judged --> idle, or the handshake of TLS
///    |---local, unknown, none--> the same, with the socket's own address
///    '---malformed, missing, late--> cut off: whoever is trusted and says nonsense gets no answer
/// ```
///
/// What it says counts for everything that asks who the client is: the access log, `allow` and
/// `deny`, the bound per address, forwarding fields, and trust. A client is trusted where its own
/// address is among the trusted proxies, as with a CDN before the balancer; one that the balancer
/// cannot name is not, since it wrote its forwarding fields itself.
///
/// Source: "The PROXY protocol", HAProxy Technologies, 2020-03-05.
extension Worker {
  /// Looks at what came of a prelude.
  func readPrelude(_ index: Int32) {
    let connection = connections[index]
    var prelude = ProxyPrelude()
    while true {
      let outcome = ProxyParser.parse(
        bytes(&connection.pointee.input),
        count: connection.pointee.input.count,
        into: &prelude
      )
      switch outcome {
      case .incomplete:
        guard join(&connection.pointee.input) else { return }
      case .absent:
        let isRequired =
          listeners[Int(connection.pointee.listener)].settings.proxyProtocol == .required
        meter.prelude(isRequired ? .missing : .absent)
        return isRequired ? closeConnection(index, reset: true) : judgeClient(index)
      case .refused(let fault):
        meter.prelude(.refused(fault))
        return closeConnection(index, reset: true)
      case .complete(let count):
        meter.prelude(.taken(prelude.kind))
        meter.receivedDownstream(count)
        consume(&connection.pointee.input, count)
        return take(prelude, index)
      }
    }
  }

  private func take(_ prelude: ProxyPrelude, _ index: Int32) {
    let connection = connections[index]
    switch prelude.kind {
    case .local:
      // The balancer itself. It could name any client that the lists let in, so to judge it by
      // them would only make its health checks fail.
      return greetClient(index)
    case .unknown, .unix:
      connection.pointee.flags.remove(.isTrusted)
    case .address:
      let source = IPBytes(high: prelude.source.high, low: prelude.source.low)
      connection.pointee.peer = source
      connection.pointee.peerPort = prelude.source.port
      connection.pointee.flags.remove([.peerIsUnix, .isTrusted])
      if listeners[Int(connection.pointee.listener)].settings.trusts(source) {
        connection.pointee.flags.insert(.isTrusted)
      }
    }
    judgeClient(index)
  }

  /// Asks of the client, now that it is known, what `accept` asks of others.
  private func judgeClient(_ index: Int32) {
    let connection = connections[index]
    let listener = listeners[Int(connection.pointee.listener)].settings
    guard !connection.pointee.flags.contains(.peerIsUnix) else { return greetClient(index) }
    guard listener.admits(connection.pointee.peer) else {
      meter.connectionRefused(.denied)
      return closeConnection(index, reset: true)
    }
    guard shared.reserveAddress(connection.pointee.peer, listener.perAddress) else {
      meter.connectionRefused(.perAddress)
      return closeConnection(index, reset: true)
    }
    connection.pointee.flags.insert(.isCounted)
    greetClient(index)
  }

  /// From here on it is a client like any other; it has what is left of the prelude's time.
  private func greetClient(_ index: Int32) {
    let connection = connections[index]
    connection.pointee.phase = .idle
    guard listeners[Int(connection.pointee.listener)].settings.tls == nil else {
      return insertSecure(index)
    }
    meter.receivedDownstream(connection.pointee.input.total)
    guard !connection.pointee.input.isEmpty, !speaksHTTP2(index) else { return }
    readHeads(index)
  }

  /// The peer ended its side; those that only look whether somebody listens say nothing before.
  func preludeEnded(_ index: Int32) {
    if !connections[index].pointee.input.isEmpty { meter.prelude(.abandoned) }
    closeConnection(index, reset: false)
  }

  func preludeTimedOut(_ index: Int32) {
    meter.timedOut(.head)
    meter.prelude(.timeout)
    closeConnection(index, reset: true)
  }
}
