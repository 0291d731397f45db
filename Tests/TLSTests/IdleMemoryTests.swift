import COpenSSL
import Glibc
import Synchronization
import Testing

@testable import TLS

/// Bytes that OpenSSL holds in this process, as it asked for them.
private let held = Atomic<Int>(0)

/// Counts what OpenSSL asks for; the length lies in front of each piece.
private enum CountedMemory {
  private static let headerBytes = 16

  /// Only before OpenSSL has asked for anything.
  static func install() -> Bool {
    CRYPTO_set_mem_functions(
      { count, _, _ in CountedMemory.allocate(count) },
      { pointer, count, _, _ in
        guard let pointer, count > 0 else {
          CountedMemory.deallocate(pointer)
          return CountedMemory.allocate(count)
        }
        guard let moved = CountedMemory.allocate(count) else { return nil }
        memcpy(moved, pointer, min(count, CountedMemory.size(pointer)))
        CountedMemory.deallocate(pointer)
        return moved
      },
      { pointer, _, _ in CountedMemory.deallocate(pointer) }
    ) == 1
  }

  fileprivate static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
    guard count > 0, let whole = malloc(count + headerBytes) else { return nil }
    whole.storeBytes(of: count, as: Int.self)
    held.wrappingAdd(count, ordering: .relaxed)
    return whole + headerBytes
  }

  fileprivate static func size(_ pointer: UnsafeMutableRawPointer) -> Int {
    (pointer - headerBytes).load(as: Int.self)
  }

  fileprivate static func deallocate(_ pointer: UnsafeMutableRawPointer?) {
    guard let pointer else { return }
    held.wrappingSubtract(size(pointer), ordering: .relaxed)
    free(pointer - headerBytes)
  }
}

struct IdleMemoryTests {
  /// A process of its own: OpenSSL takes other memory only before it has any.
  @Test func `an idle session has given its buffers back`() async throws {
    let result = try await #require(
      processExitsWith: .success,
      observing: [\.standardOutputContent]
    ) {
      #expect(CountedMemory.install())
      let server = try Contexts.server()
      let client = try Contexts.client()
      /// Bytes of each of some sessions of the server, after data both ways with nothing left.
      func each(_ count: Int, _ change: (OpaquePointer) -> Void) -> Int {
        var sessions: [TLSSession] = []
        let before = held.load(ordering: .relaxed)
        for _ in 0..<count {
          let pair = Contexts.pair(server, client)
          change(pair.server.session.ssl)
          Peer.connect(pair.client, pair.server)
          pair.client.outgoing = pattern(2_000)
          pair.server.outgoing = pattern(2_000)
          Peer.exchange(pair.client, pair.server)
          #expect(pair.server.received == pattern(2_000))
          sessions.append(pair.server.session)
        }
        let after = held.load(ordering: .relaxed)
        return withExtendedLifetime(sessions) { (after - before) / count }
      }
      // What is allocated once is not what a session holds.
      _ = each(2) { _ in }

      let own = each(20) { _ in }
      let kept = each(20) { SSL_ctrl($0, SSL_CTRL_CLEAR_MODE, Int(SSL_MODE_RELEASE_BUFFERS), nil) }

      print("an idle session holds \(own) bytes, with its buffers \(kept)")
      // Either buffer is longer than the longest record.
      #expect(own < 16_384, "an idle session holds \(own) bytes")
      #expect(kept > own + 16_384, "with its buffers \(kept), else \(own)")
    }
    print(String(decoding: result.standardOutputContent, as: UTF8.self))
  }
}
