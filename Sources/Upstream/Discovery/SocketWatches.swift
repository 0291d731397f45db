internal import Reactor

/// The resolver library's sockets, as the reactor watches them.
final class SocketWatches {
  private let reactor: Reactor
  private let kind: UInt8
  /// Watches by descriptor; the library has a few for each name server.
  private var watches: [Int32: Int32] = [:]

  /// - Parameters:
  ///   - reactor: The worker's.
  ///   - kind: Kind of the events' owner; its index is the descriptor.
  init(_ reactor: Reactor, kind: UInt8) {
    self.reactor = reactor
    self.kind = kind
  }

  /// Takes what the library wants to know of a socket; nothing means that it closes it now.
  ///
  /// This acts at once: a watch that outlived its descriptor would fall upon the next one that
  /// gets the same number.
  func set(_ descriptor: Int32, reading: Bool, writing: Bool) {
    if let watch = watches.removeValue(forKey: descriptor) { reactor.unwatch(watch) }
    guard reading || writing else { return }
    let watch = reactor.watch(
      descriptor,
      reading: reading,
      writing: writing,
      owner: Owner(kind: kind, index: descriptor, generation: 0)
    )
    // Without an entry the lookup runs into its timeout and counts as failed.
    if watch >= 0 { watches[descriptor] = watch }
  }
}
