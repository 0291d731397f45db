internal import CCares
internal import Glibc
internal import Reactor
internal import Units

/// A c-ares channel; all calls to the library are in this file.
///
/// The library's callbacks fill the slot of the name they are for, or pass a socket on to the
/// reactor, and nothing else: they may run inside any call below.
final class ResolverChannel {
  /// How long a name server may take before it is asked again; doubles with each try.
  private static let timeoutMilliseconds: Int32 = 1_000
  private static let tries: Int32 = 3
  /// Largest UDP reply we ask for: what passes every usual path unfragmented (DNS flag day 2020).
  private static let datagramBytes: Int32 = 1_232

  private static let isLibraryReady = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS

  private let handle: ares_channel
  private let watches: SocketWatches

  /// Opens a channel with the name servers of the system; `nil` when the library cannot, out of
  /// memory or because the servers make no sense.
  ///
  /// - Parameters:
  ///   - watches: Where its sockets are watched.
  ///   - servers: `host:port` with commas between, in place of those of the system.
  init?(watches: SocketWatches, servers: String?) {
    guard Self.isLibraryReady else { return nil }
    self.watches = watches
    var options = ares_options()
    options.flags = ARES_FLAG_EDNS
    options.timeout = Self.timeoutMilliseconds
    options.tries = Self.tries
    options.ednspsz = Self.datagramBytes
    options.sock_state_cb = Self.socketChanged
    options.sock_state_cb_data = Unmanaged.passUnretained(watches).toOpaque()
    let mask =
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ
      | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS
    var channel: ares_channel?
    // The hosts file first, always: what it answers is known by being answered at once.
    let lookups = strdup("fb")
    options.lookups = lookups
    let status = ares_init_options(&channel, &options, mask)
    free(lookups)
    guard status == ARES_SUCCESS, let channel else { return nil }
    handle = channel
    if let servers, ares_set_servers_ports_csv(channel, servers) != ARES_SUCCESS {
      ares_destroy(channel)
      return nil
    }
  }

  /// Fills the slots of all lookups under way with `cancelled`, and closes the sockets.
  deinit { ares_destroy(handle) }

  /// Begins to ask a question; its slot may be filled when this returns.
  func lookUp(_ name: WatchedName) {
    switch name.question.kind {
    case .addresses: lookUpAddresses(name)
    case .services:
      ares_query(
        handle,
        name.name,
        Int32(ns_c_in.rawValue),
        Int32(ns_t_srv.rawValue),
        Self.toldServices,
        Unmanaged.passRetained(name).toOpaque()
      )
    }
  }

  /// Asks for both families, in the hosts file first.
  private func lookUpAddresses(_ name: WatchedName) {
    var hints = ares_addrinfo_hints()
    // Unsorted: sorting opens a socket for each address, and the balancer has its own order.
    hints.ai_flags = ARES_AI_NOSORT
    hints.ai_family = AF_UNSPEC
    ares_getaddrinfo(
      handle,
      name.name,
      nil,
      &hints,
      Self.answered,
      Unmanaged.passRetained(name).toOpaque()
    )
  }

  /// Reads and writes a socket that is ready.
  func process(_ descriptor: Int32, reading: Bool, writing: Bool) {
    ares_process_fd(
      handle,
      reading ? descriptor : ARES_SOCKET_BAD,
      writing ? descriptor : ARES_SOCKET_BAD
    )
  }

  /// Looks after timeouts.
  func processTimeouts() { ares_process_fd(handle, ARES_SOCKET_BAD, ARES_SOCKET_BAD) }

  /// How long `processTimeouts` has time; `nil` when no lookup is under way.
  var timeout: Nanoseconds? {
    var left = timeval()
    guard ares_timeout(handle, nil, &left) != nil else { return nil }
    return .seconds(Int64(left.tv_sec)) + .microseconds(Int64(left.tv_usec))
  }

  // MARK: - Callbacks

  private static let socketChanged: ares_sock_state_cb = { data, descriptor, readable, writable in
    guard let data else { return }
    Unmanaged<SocketWatches>.fromOpaque(data).takeUnretainedValue()
      .set(descriptor, reading: readable != 0, writing: writable != 0)
  }

  private static let answered: ares_addrinfo_callback = { argument, status, _, result in
    defer { if let result { ares_freeaddrinfo(result) } }
    guard let argument else { return }
    let name = Unmanaged<WatchedName>.fromOpaque(argument).takeRetainedValue()
    switch status {
    case ARES_SUCCESS: name.slot = result.map(ResolverChannel.outcome) ?? noAddress
    case ARES_EDESTRUCTION, ARES_ECANCELLED: name.slot = .cancelled
    default: name.slot = .failed(String(cString: ares_strerror(status)))
    }
  }

  private static let noAddress = WatchedName.Outcome.failed("the answer has no address")

  private static let toldServices: ares_callback = { argument, status, _, bytes, count in
    guard let argument else { return }
    let name = Unmanaged<WatchedName>.fromOpaque(argument).takeRetainedValue()
    switch status {
    case ARES_SUCCESS:
      let message = Array(UnsafeBufferPointer(start: bytes, count: max(0, Int(count))))
      name.slot =
        ServiceAnswer(message).map { .services($0) }
        ?? .failed("the answer has no SRV record of use")
    case ARES_EDESTRUCTION, ARES_ECANCELLED: name.slot = .cancelled
    default: name.slot = .failed(String(cString: ares_strerror(status)))
    }
  }

  private static func outcome(_ result: UnsafeMutablePointer<ares_addrinfo>) -> WatchedName.Outcome
  {
    var addresses = Set<IPBytes>()
    var ttl = Int32.max
    var next = result.pointee.nodes
    while let node = next {
      if let address = address(node.pointee) {
        addresses.insert(address)
        ttl = min(ttl, max(0, node.pointee.ai_ttl))
      }
      next = node.pointee.ai_next
    }
    var alias = result.pointee.cnames
    while let link = alias {
      ttl = min(ttl, max(0, link.pointee.ttl))
      alias = link.pointee.next
    }
    guard !addresses.isEmpty else { return noAddress }
    // In order before it is cut, so that the order of records, which servers rotate, is no change.
    let sorted = addresses.sorted { ($0.high, $0.low) < ($1.high, $1.low) }
    return .addresses(Array(sorted.prefix(NameResolver.maximumAddresses)), ttl: ttl)
  }

  private static func address(_ node: ares_addrinfo_node) -> IPBytes? {
    guard let raw = UnsafeRawPointer(node.ai_addr) else { return nil }
    switch node.ai_family {
    case AF_INET where Int(node.ai_addrlen) >= MemoryLayout<sockaddr_in>.size:
      let address = raw.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr
      return IPBytes(high: 0, low: 0xFFFF_0000_0000 | UInt64(UInt32(bigEndian: address)))
    case AF_INET6 where Int(node.ai_addrlen) >= MemoryLayout<sockaddr_in6>.size:
      let start = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr) ?? 8
      let high = raw.loadUnaligned(fromByteOffset: start, as: UInt64.self)
      let low = raw.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self)
      return IPBytes(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
    default:
      return nil
    }
  }
}
