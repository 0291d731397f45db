internal import Glibc
internal import Yams

/// Addresses, names and ranges.
enum AddressReader {
  /// `0.0.0.0:8080`, `[::]:8080` or `unix:/path`.
  static func bind(_ field: Field) -> BindAddress {
    let text = field.text()
    if text.hasPrefix("unix:") { return .unix(unixPath(text, field)) }
    guard let (host, port) = split(text), isIP(host) else {
      if case .scalar = field.node {
        field.fault("must be an IP address and a port, such as 0.0.0.0:8080, or unix:/path")
      }
      return .ip("127.0.0.1", port: 0)
    }
    return .ip(host, port: port)
  }

  /// As for a listener, but names are allowed: they are resolved.
  static func endpoint(_ field: Field) -> ServiceSetting.Endpoint? {
    let text = field.text()
    if text.hasPrefix("unix:") { return .unix(unixPath(text, field)) }
    guard let (host, port) = self.host(text) else {
      if case .scalar = field.node {
        field.fault("must be an address or a name with a port, such as 10.0.1.5:8080")
      }
      return nil
    }
    return .host(host, port: port)
  }

  /// A host and its port, as an endpoint on a network has them.
  static func host(_ text: String) -> (host: String, port: UInt16)? {
    guard let (host, port) = split(text), port > 0, isIP(host) || isName(host) else { return nil }
    return (host, port)
  }

  static func range(_ field: Field) -> CIDR? {
    let text = field.text()
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    let host = parts.first.map(String.init) ?? ""
    let widest = host.contains(":") ? 128 : 32
    let prefix = parts.count == 2 ? Int(parts[1]) : parts.count == 1 ? widest : nil
    guard isIP(host), let prefix, (0...widest).contains(prefix) else {
      if case .scalar = field.node {
        field.fault("\(text) is no range; write 10.0.0.0/8 or a single address")
      }
      return nil
    }
    return CIDR(address: host, prefix: prefix)
  }

  private static func unixPath(_ text: String, _ field: Field) -> String {
    let path = String(text.dropFirst(5))
    if !path.hasPrefix("/") || path.utf8.count > 107 {
      field.fault("a UNIX socket needs an absolute path of at most 107 bytes")
    }
    return path
  }

  private static func split(_ text: String) -> (String, UInt16)? {
    guard let colon = text.lastIndex(of: ":"), case let digits = text[text.index(after: colon)...],
      // A sign is a number's to Swift.
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    return (String(host), port)
  }

  static func isIP(_ text: String) -> Bool {
    var bytes = in6_addr()
    // C would see the part before a NUL alone.
    guard !text.utf8.contains(0) else { return false }
    return inet_pton(AF_INET, text, &bytes) == 1 || inet_pton(AF_INET6, text, &bytes) == 1
  }

  /// A name in lower case, an address as the kernel writes it.
  static func canonical(_ host: String) -> String {
    var bytes = in6_addr()
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_pton(AF_INET6, host, &bytes) == 1,
      inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count)) != nil
    else { return host.lowercased() }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  static func isName(_ text: String) -> Bool {
    guard !text.isEmpty, text.utf8.count <= 253 else { return false }
    return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      (1...63).contains(label.utf8.count)
        && label.utf8.allSatisfy { $0 == 0x2D || $0 == 0x5F || isAlphanumeric($0) }
    }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
  }
}
