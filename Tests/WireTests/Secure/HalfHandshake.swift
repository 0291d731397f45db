import TLS
import Testing

/// The client's side of a handshake that may stop anywhere, over a connection of its own.
final class HalfHandshake {
  /// What is agreed on, and how many flights the client sends before it is through.
  enum Kind: CaseIterable {
    case tls13
    case tls12
    /// TLS 1.3 whose first key share is of a group that the edge does not have, so that it answers
    /// with HelloRetryRequest (RFC 8446 section 4.1.4).
    case retry
  }

  let client: RawClient
  private let session: TLSSession
  private var inbox: [UInt8] = []

  init(_ kind: Kind, port: UInt16) throws {
    let context = try WireAuthority.shared.client { settings in
      switch kind {
      case .tls13: break
      case .tls12: settings.maximumVersion = .tls12
      case .retry: settings.ciphers.groups = "P-521:P-256"
      }
    }
    session = try #require(TLSSession(client: context, host: WireAuthority.host))
    client = try RawClient(port: port)
  }

  var isOpen: Bool { session.isOpen }

  /// What the client says next, given all that it has heard.
  func flight() -> [UInt8] {
    var output = [UInt8](repeating: 0, count: 16_384)
    let (consumed, produced) = inbox.withUnsafeBufferPointer { input in
      output.withUnsafeMutableBufferPointer { room in
        var window = CiphertextWindow(
          input: input.baseAddress,
          inputCount: input.count,
          output: room.baseAddress,
          outputRoom: room.count
        )
        _ = session.handshake(&window)
        return (window.consumed, window.produced)
      }
    }
    inbox.removeFirst(consumed)
    return Array(output[..<produced])
  }

  /// Sends the next flight and reads until there is one more, or the handshake is through; what was
  /// read.
  func advance(_ flight: [UInt8]) throws -> (heard: [UInt8], next: [UInt8]) {
    client.trySend(flight)
    var heard: [UInt8] = []
    var next: [UInt8] = []
    while next.isEmpty, !session.isOpen {
      let bytes = try client.some()
      guard !bytes.isEmpty else { throw WireFailure("the edge has gone") }
      heard += bytes
      inbox += bytes
      next = self.flight()
    }
    return (heard, next)
  }
}
