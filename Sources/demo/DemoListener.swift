import Glibc

/// A listening TCP socket that gives every connection a thread of its own.
///
/// A thread each is dear in memory and fine for a demonstration: `/sleep` may simply sleep.
struct DemoListener {
  private let descriptor: Int32

  /// A connection's stack: the deepest thing a session does is to append to an array.
  private static let stackBytes = 256 * 1024

  /// What came of an attempt to listen.
  enum Outcome {
    case open(DemoListener)
    /// The call that failed and its `errno`.
    case failed(call: String, code: Int32)
  }

  /// Binds to an IPv4 address in dotted form and listens.
  static func open(address text: String, port: UInt16) -> Outcome {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, text, &address.sin_addr) == 1 else {
      return .failed(call: "inet_pton", code: EINVAL)
    }
    let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_INET, flags, 0)
    guard descriptor >= 0 else { return .failed(call: "socket", code: errno) }

    // A restarted demo takes its port back although old connections are still in TIME_WAIT.
    DemoSocket.enable(SO_REUSEADDR, level: SOL_SOCKET, of: descriptor)
    let bound = withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard bound == 0 else { return .failed(call: "bind", code: errno) }
    guard listen(descriptor, 4096) == 0 else { return .failed(call: "listen", code: errno) }
    return .open(DemoListener(descriptor: descriptor))
  }

  /// Accepts until the process ends.
  func serve(name: String) -> Never {
    // The name goes to the threads through one word; it lives as long as the process.
    let service = Unmanaged.passRetained(DemoService(name: name))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, Self.stackBytes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))

    while true {
      let accepted = accept(descriptor, nil, nil)
      guard accepted >= 0 else {
        // Out of descriptors: wait for some connection to end instead of spinning.
        if errno == EMFILE || errno == ENFILE { usleep(10_000) }
        continue
      }
      DemoSocket.enable(Int32(TCP_NODELAY), level: Int32(IPPROTO_TCP), of: accepted)
      let ticket = DemoTicket.make(service: service.toOpaque(), descriptor: accepted)
      var thread = pthread_t()
      let failure = pthread_create(
        &thread,
        &attributes,
        { argument in
          if let argument { DemoTicket.redeem(argument) }
          return nil
        },
        ticket
      )
      if failure != 0 {
        DemoTicket.discard(ticket)
        close(accepted)
      }
    }
  }
}

/// What a new thread is told: which service it speaks for and which connection is its own.
private struct DemoTicket {
  let service: UnsafeMutableRawPointer
  let descriptor: Int32

  static func make(service: UnsafeMutableRawPointer, descriptor: Int32) -> UnsafeMutableRawPointer {
    let place = UnsafeMutablePointer<DemoTicket>.allocate(capacity: 1)
    place.initialize(to: DemoTicket(service: service, descriptor: descriptor))
    return UnsafeMutableRawPointer(place)
  }

  static func discard(_ place: UnsafeMutableRawPointer) {
    place.assumingMemoryBound(to: DemoTicket.self).deallocate()
  }

  static func redeem(_ place: UnsafeMutableRawPointer) {
    let ticket = place.assumingMemoryBound(to: DemoTicket.self).move()
    discard(place)
    let service = Unmanaged<DemoService>.fromOpaque(ticket.service).takeUnretainedValue()
    var session = DemoSession(socket: DemoSocket(descriptor: ticket.descriptor), service: service)
    session.run()
  }
}
