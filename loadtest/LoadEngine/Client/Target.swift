internal import CLinux
internal import Glibc
public import Reactor

/// Where requests go: an origin, resolved once.
public struct Target: Sendable {
  /// As in the Host field.
  public let authority: String
  public let address: KernelAddress
  public let isSecure: Bool
  /// A name, or an IP address without brackets.
  public let host: String

  public var url: String { (isSecure ? "https://" : "http://") + authority }

  /// Reads `http://host:port` or `https://host:port` and resolves the host.
  ///
  /// - Throws: What a user should read.
  public init(_ url: String) throws(EngineError) {
    isSecure = url.hasPrefix("https://")
    guard isSecure || url.hasPrefix("http://") else {
      throw EngineError("\(url) must begin with http:// or https://")
    }
    var rest = url.dropFirst(isSecure ? "https://".count : "http://".count)
    if rest.hasSuffix("/") { rest = rest.dropLast() }
    let isPlain = rest.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    guard !rest.isEmpty, isPlain, !rest.contains(where: { "/?#@".contains($0) }) else {
      throw EngineError("\(url) must be an origin such as http://127.0.0.1:8080, without a path")
    }
    authority = String(rest)
    var host = rest
    var port: UInt16 = isSecure ? 443 : 80
    if let colon = rest.lastIndex(of: ":"), !rest.hasSuffix("]") {
      guard let number = UInt16(rest[rest.index(after: colon)...]), number > 0 else {
        throw EngineError("\(url) has no valid port")
      }
      port = number
      host = rest[..<colon]
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard let address = KernelAddress(ip: String(host), port: port) ?? Self.resolve(host, port)
    else { throw EngineError("\(url): the name \(host) has no address") }
    self.address = address
    self.host = String(host)
  }

  private static func resolve(_ host: Substring, _ port: UInt16) -> KernelAddress? {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(String(host), nil, &hints, &list) == 0 else { return nil }
    defer { freeaddrinfo(list) }
    // IPv4 first: what listens on a loopback name seldom listens on both.
    for family in [AF_INET, AF_INET6] {
      var entry = list
      while let found = entry {
        entry = found.pointee.ai_next
        guard found.pointee.ai_family == family, let address = found.pointee.ai_addr else {
          continue
        }
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = getnameinfo(
          address,
          found.pointee.ai_addrlen,
          &text,
          socklen_t(text.count),
          nil,
          0,
          NI_NUMERICHOST
        )
        guard code == 0 else { continue }
        let ip = text.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if let address = KernelAddress(ip: ip, port: port) { return address }
      }
    }
    return nil
  }
}
