internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Units

/// HTTP/2 in cleartext by prior knowledge (RFC 9113 section 3.3).
extension Worker {
  private static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

  /// Looks for the preface in the first bytes of a connection.
  ///
  /// - Returns: Whether they are dealt with: it is a session now, or it may become one.
  @inline(__always)
  func speaksHTTP2(_ index: Int32) -> Bool {
    let connection = connections[index]
    guard connection.pointee.requests == 0,
      bytes(&connection.pointee.input)[0] == Self.preface.utf8Start[0]
    else { return false }
    return readPreface(index)
  }

  private func readPreface(_ index: Int32) -> Bool {
    let connection = connections[index]
    // In TLS it is chosen by ALPN or not at all (RFC 9113 section 3.2).
    guard !connection.pointee.transport.isSecure else { return false }
    let length = Self.preface.utf8CodeUnitCount
    let there = min(connection.pointee.input.count, length)
    let isSame = memcmp(bytes(&connection.pointee.input), Self.preface.utf8Start, there) == 0
    guard isSame else {
      // Lines that looked like one until now were not parsed when they came.
      guard connection.pointee.phase == .head, connection.pointee.input.count > 2,
        memcmp(bytes(&connection.pointee.input), Self.preface.utf8Start, 3) == 0
      else { return false }
      readHeads(index)
      return true
    }
    guard there < length else {
      openSession(index)
      return true
    }
    if connection.pointee.phase == .idle {
      connection.pointee.phase = .head
      setDeadline(connection, reactor.now + limits(connection).headTimeout)
    }
    return true
  }
}
