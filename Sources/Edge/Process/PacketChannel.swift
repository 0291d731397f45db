internal import CLinux
internal import Glibc

/// One end of a UNIX socket that keeps message bounds and can carry a descriptor.
///
/// Messages are lines of text, so that a parent and a child of different versions still read what
/// they both know. Does not own the descriptor.
public struct PacketChannel: Sendable {
  public let descriptor: Int32

  /// Longest message in bytes; a longer one is cut by the kernel.
  public static let maximumBytes = 4_096

  public enum Received: Equatable, Sendable {
    /// The caller owns the descriptor that came along.
    case message(String, descriptor: Int32?)
    case nothing
    case closed
  }

  public init(descriptor: Int32) { self.descriptor = descriptor }

  /// Two connected ends, both closed on exec, or `nil` when there are no descriptors left.
  public static func pair() -> (PacketChannel, PacketChannel)? {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return nil }
    return (PacketChannel(descriptor: ends[0]), PacketChannel(descriptor: ends[1]))
  }

  /// Sends a message whole, waiting for room if there is none.
  ///
  /// - Returns: False when the other end is gone.
  @discardableResult
  public func send(_ text: String, passing passed: Int32? = nil) -> Bool {
    let bytes = Array(text.utf8.prefix(Self.maximumBytes))
    while true {
      let sent = clinux_send_packet(descriptor, bytes, bytes.count, passed ?? -1)
      if sent != -Int64(EINTR) { return sent >= 0 }
    }
  }

  /// Takes the next message if there is one.
  public func receive() -> Received {
    var bytes = [UInt8](repeating: 0, count: Self.maximumBytes)
    var passed: Int32 = -1
    while true {
      let count = clinux_receive_packet(descriptor, &bytes, bytes.count, &passed)
      switch count {
      case -Int64(EINTR): continue
      case -Int64(EAGAIN): return .nothing
      case ...0: return .closed
      default:
        let text = String(decoding: bytes[..<Int(count)], as: UTF8.self)
        return .message(text, descriptor: passed < 0 ? nil : passed)
      }
    }
  }
}
