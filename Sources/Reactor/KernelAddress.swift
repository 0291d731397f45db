public import CLinux
internal import Glibc

/// A socket address in the kernel's own form, ready for `connect` and `bind`.
public struct KernelAddress: Sendable {
  public private(set) var storage: sockaddr_storage
  public private(set) var length: UInt32

  /// A UNIX domain socket.
  ///
  /// - Parameter path: At most 107 bytes; `nil` is returned for a longer or empty one.
  public init?(unixPath path: String) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      return nil
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    self.init(address, length: UInt32(MemoryLayout<sockaddr_un>.size))
  }

  /// An IPv4 or IPv6 address in text, IPv6 without brackets.
  public init?(ip: String, port: UInt16) {
    var v4 = sockaddr_in()
    if inet_pton(AF_INET, ip, &v4.sin_addr) == 1 {
      v4.sin_family = sa_family_t(AF_INET)
      v4.sin_port = port.bigEndian
      self.init(v4, length: UInt32(MemoryLayout<sockaddr_in>.size))
      return
    }
    var v6 = sockaddr_in6()
    guard inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1 else { return nil }
    v6.sin6_family = sa_family_t(AF_INET6)
    v6.sin6_port = port.bigEndian
    self.init(v6, length: UInt32(MemoryLayout<sockaddr_in6>.size))
  }

  /// The address of a connected socket's peer, or `nil` when it is gone already.
  public init?(peerOf descriptor: Int32) {
    storage = sockaddr_storage()
    length = UInt32(MemoryLayout<sockaddr_storage>.size)
    guard clinux_peer_name(descriptor, &storage, &length) >= 0 else { return nil }
  }

  /// The address a socket is bound to.
  public init?(localOf descriptor: Int32) {
    storage = sockaddr_storage()
    length = UInt32(MemoryLayout<sockaddr_storage>.size)
    guard clinux_local_name(descriptor, &storage, &length) >= 0 else { return nil }
  }

  private init<T>(_ address: T, length: UInt32) {
    storage = sockaddr_storage()
    self.length = length
    withUnsafeMutableBytes(of: &storage) { to in
      withUnsafeBytes(of: address) { to.copyMemory(from: $0) }
    }
  }

  /// `AF_INET`, `AF_INET6` or `AF_UNIX`.
  public var family: Int32 { Int32(storage.ss_family) }

  public var isUnix: Bool { family == AF_UNIX }

  /// The port, 0 for a UNIX socket.
  public var port: UInt16 {
    withUnsafeBytes(of: storage) { bytes in
      guard family == AF_INET || family == AF_INET6 else { return 0 }
      return UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    }
  }

  /// The address as 16 bytes, IPv4 in its IPv6-mapped form, all zero for a UNIX socket.
  public var ip: IPBytes {
    withUnsafeBytes(of: storage) { bytes in
      switch family {
      case AF_INET:
        return IPBytes(high: 0, low: 0xFFFF_0000_0000 | UInt64(Self.big32(bytes, 4)))
      case AF_INET6:
        return IPBytes(
          high: UInt64(Self.big32(bytes, 8)) << 32 | UInt64(Self.big32(bytes, 12)),
          low: UInt64(Self.big32(bytes, 16)) << 32 | UInt64(Self.big32(bytes, 20))
        )
      default:
        return IPBytes(high: 0, low: 0)
      }
    }
  }

  private static func big32(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> UInt32 {
    UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
  }
}

extension KernelAddress: CustomStringConvertible {
  /// `10.0.0.1:80`, `[::1]:80` or `unix:/path`.
  public var description: String {
    if isUnix {
      return withUnsafeBytes(of: storage) { bytes in
        let path = bytes.dropFirst(2).prefix { $0 != 0 }
        return "unix:" + String(decoding: path, as: UTF8.self)
      }
    }
    let text = ip.description
    return ip.isIPv4 ? "\(text):\(port)" : "[\(text)]:\(port)"
  }
}

/// An IP address as two words, IPv4 in its IPv6-mapped form (RFC 4291 section 2.5.5.2).
public struct IPBytes: Hashable, Sendable, BitwiseCopyable {
  public var high: UInt64
  public var low: UInt64

  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  @inlinable
  public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
}

extension IPBytes: CustomStringConvertible {
  public var description: String {
    var text = [CChar](repeating: 0, count: 64)
    if isIPv4 {
      var address = in_addr(s_addr: UInt32(truncatingIfNeeded: low).bigEndian)
      inet_ntop(AF_INET, &address, &text, 64)
    } else {
      var words = (high.bigEndian, low.bigEndian)
      inet_ntop(AF_INET6, &words, &text, 64)
    }
    return text.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
