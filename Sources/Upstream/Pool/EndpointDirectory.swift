internal import Units

/// Gives each endpoint of each service a small number that every worker's table uses.
///
/// A number stays with its endpoint across reloads, so that pools and latencies carry over, and is
/// given away again once nothing refers to it. Slow plane only.
public final class EndpointDirectory: Sendable {
  /// Most endpoints that can be known at once, those of old configurations still in use included.
  public static let capacity = 32_768

  /// One endpoint's place, counted by those who use it.
  public final class Lease: Sendable {
    public let place: Int32
    /// Tells this use of the place from the ones before.
    public let epoch: UInt32
    private let directory: EndpointDirectory
    private let key: String

    fileprivate init(_ directory: EndpointDirectory, key: String, place: Int32, epoch: UInt32) {
      self.directory = directory
      self.key = key
      self.place = place
      self.epoch = epoch
    }

    deinit { directory.giveBack(key: key, place: place) }
  }

  private struct Weak {
    weak var lease: Lease?
    var place: Int32
  }

  private struct State {
    var leases: [String: Weak] = [:]
    var free: [Int32] = []
    var next: Int32 = 0
    var epoch: UInt32 = 0
  }

  private let state = Locked(State())

  public init() {}

  /// The endpoint's place, the same one as long as somebody holds a lease on it.
  ///
  /// - Parameters:
  ///   - service: The service's name.
  ///   - address: The endpoint's address in text.
  ///   - variant: What else a connection must agree in to be of use, such as the rules of its TLS.
  /// - Returns: `nil` when the directory is full.
  public func lease(service: String, address: String, variant: String = "") -> Lease? {
    let key = service + "\n" + address + "\n" + variant
    return state.withLock { state in
      if let lease = state.leases[key]?.lease { return lease }
      let place: Int32
      if let reused = state.free.popLast() {
        place = reused
      } else {
        guard Int(state.next) < Self.capacity else { return nil }
        place = state.next
        state.next += 1
      }
      state.epoch &+= 1
      let lease = Lease(self, key: key, place: place, epoch: state.epoch)
      state.leases[key] = Weak(lease: lease, place: place)
      return lease
    }
  }

  private func giveBack(key: String, place: Int32) {
    state.withLock { state in
      // A new lease on the same key may already stand in the table.
      if state.leases[key]?.place == place { state.leases[key] = nil }
      state.free.append(place)
    }
  }
}
