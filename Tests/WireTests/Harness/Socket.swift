import CLinux
import Glibc
import Units

/// A non-blocking stream socket with waits that end.
///
/// One thread reads and writes and closes it; any other may `interrupt` it. The lock keeps the
/// other thread from touching a descriptor that was closed and given out again.
final class Socket: Sendable {
  /// How a stream ended for its reader.
  enum End: Equatable, Sendable {
    case finished
    case reset
  }

  private let state: Locked<Int32>

  init(adopting descriptor: Int32) {
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    state = Locked(descriptor)
  }

  deinit { close() }

  var descriptor: Int32 { state.withLock { $0 } }

  var isOpen: Bool { descriptor >= 0 }

  /// Waits for `events` of `poll`; false when the deadline passed.
  func wait(for events: Int32, by deadline: Deadline) throws -> Bool {
    while true {
      let descriptor = self.descriptor
      guard descriptor >= 0 else { throw WireFailure("the socket is closed") }
      var entry = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
      let count = poll(&entry, 1, deadline.milliseconds)
      if count > 0 { return true }
      if count == 0 && deadline.hasPassed { return false }
      if count < 0 && errno != EINTR { throw WireFailure("poll: \(errno)") }
    }
  }

  /// Receives at most `room` bytes, or how the stream ended.
  func receive(atMost room: Int, by deadline: Deadline) throws -> Result<[UInt8], EndOfStream> {
    while true {
      guard try wait(for: Int32(POLLIN), by: deadline) else {
        throw WireFailure("nothing came in time")
      }
      let descriptor = self.descriptor
      var failure: Int32 = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        let got = recv(descriptor, buffer.baseAddress, room, 0)
        failure = got < 0 ? errno : 0
        count = max(0, got)
      }
      switch failure {
      case 0: return bytes.isEmpty ? .failure(EndOfStream(.finished)) : .success(bytes)
      case EAGAIN, EINTR: continue
      case ECONNRESET, EPIPE, ETIMEDOUT: return .failure(EndOfStream(.reset))
      default: throw WireFailure("recv: \(failure)")
      }
    }
  }

  /// Sends all of `bytes`; `progress` hears of each part that the kernel took.
  func send(
    _ bytes: some Collection<UInt8>,
    by deadline: Deadline,
    progress: (Int) -> Void = { _ in }
  ) throws {
    let all = Array(bytes)
    var sent = 0
    while sent < all.count {
      let descriptor = self.descriptor
      guard descriptor >= 0 else { throw WireFailure("send on a closed socket") }
      let count = all.withUnsafeBytes { buffer in
        Glibc.send(
          descriptor,
          buffer.baseAddress?.advanced(by: sent),
          all.count - sent,
          Int32(MSG_NOSIGNAL)
        )
      }
      if count > 0 {
        sent += count
        progress(count)
      } else if errno == EAGAIN || errno == EINTR {
        guard try wait(for: Int32(POLLOUT), by: deadline) else {
          throw WireFailure("the peer took \(sent) of \(all.count) bytes in time")
        }
      } else {
        throw WireFailure("send after \(sent) of \(all.count) bytes: \(errno)")
      }
    }
  }

  /// Sends bytes and the end behind them in one segment, so that nobody sees the one without the other.
  func sendLast(_ bytes: [UInt8]) {
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_MORE) | Int32(MSG_NOSIGNAL))
    finish()
  }

  /// Says that no more bytes follow (FIN), still able to read.
  func finish() {
    state.withLock { if $0 >= 0 { _ = shutdown($0, Int32(SHUT_WR)) } }
  }

  /// Ends both directions from another thread; the owner wakes up and closes.
  func interrupt() {
    state.withLock { if $0 >= 0 { _ = shutdown($0, Int32(SHUT_RDWR)) } }
  }

  /// Closes in the ordinary way.
  func close() {
    state.withLock { descriptor in
      if descriptor >= 0 { _ = Glibc.close(descriptor) }
      descriptor = -1
    }
  }

  /// Closes with a reset (RST), as a peer that crashed would.
  func reset() {
    state.withLock { descriptor in
      guard descriptor >= 0 else { return }
      var option = linger(l_onoff: 1, l_linger: 0)
      _ = setsockopt(
        descriptor,
        SOL_SOCKET,
        SO_LINGER,
        &option,
        socklen_t(MemoryLayout<linger>.size)
      )
      _ = Glibc.close(descriptor)
      descriptor = -1
    }
  }
}

/// The stream ended instead of bringing bytes.
struct EndOfStream: Error {
  let end: Socket.End

  init(_ end: Socket.End) { self.end = end }
}
