internal import Edge
internal import Glibc

/// The parent's own descriptors of all listening sockets: why no crash loses them.
struct HeldSockets {
  private var sockets: [String: [Int: Int32]] = [:]

  var all: [ListeningSocket] {
    sockets.flatMap { key, workers in
      workers.map { ListeningSocket(key: key, worker: $0.key, descriptor: $0.value) }
    }
  }

  /// Lets all of them go: what is being stopped is not to be restarted, and a socket held here would
  /// go on taking connections that nobody accepts.
  mutating func closeAll() {
    for descriptor in sockets.values.flatMap(\.values) { close(descriptor) }
    sockets = [:]
  }

  mutating func apply(_ report: ChildReport, descriptor: Int32?) {
    switch report {
    case .bound(let key, let worker):
      guard let descriptor else { return }
      if let old = sockets[key]?[worker] { close(old) }
      sockets[key, default: [:]][worker] = descriptor
    case .dropped(let key, let worker):
      // Kept open here it would go on taking its share of connections, with nobody to accept.
      if let old = sockets[key]?.removeValue(forKey: worker) { close(old) }
      if sockets[key]?.isEmpty == true { sockets[key] = nil }
    default: break
    }
  }
}
