internal import CLinux
internal import Units

/// A descriptor that is not one of our streams: a listener, or one of a foreign library.
struct Watch: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    case listener, foreign
  }

  var kind: Kind
  var isPaused: Bool
  /// io_uring: an operation is under way.
  var isArmed: Bool
  /// Ended by the owner; the entry lives until its operation came back.
  var isEnded: Bool
  var descriptor: Int32
  var mask: UInt32
  var owner: Owner
}

/// Listeners, and the readiness interface for event-driven C libraries.
extension Reactor {
  /// Begins to accept on a bound, listening, non-blocking socket; the descriptor stays the caller's.
  ///
  /// - Returns: The watch, or -1 when the bound is reached.
  public func listen(_ descriptor: Int32, owner: Owner) -> Int32 {
    addWatch(.listener, descriptor, UInt32(CLINUX_READABLE), owner)
  }

  /// Reports `ready` whenever the descriptor can be read or written, level-triggered.
  public func watch(_ descriptor: Int32, reading: Bool, writing: Bool, owner: Owner) -> Int32 {
    let mask =
      (reading ? UInt32(CLINUX_READABLE) : 0)
      | (writing ? UInt32(CLINUX_WRITABLE) : 0)
    return addWatch(.foreign, descriptor, mask, owner)
  }

  /// Stops accepting until `resumeAccepting`; connections wait in the kernel's queue.
  public func pauseAccepting(_ watch: Int32) {
    let entry = watches[watch]
    guard !entry.pointee.isPaused else { return }
    entry.pointee.isPaused = true
    quiet(watch, entry)
  }

  public func resumeAccepting(_ watch: Int32) {
    let entry = watches[watch]
    guard entry.pointee.isPaused else { return }
    entry.pointee.isPaused = false
    arm(watch, entry, isNew: false)
  }

  /// Ends a watch; the caller closes the descriptor afterwards.
  public func unwatch(_ watch: Int32) {
    let entry = watches[watch]
    entry.pointee.isEnded = true
    guard let ring else {
      clinux_epoll_remove(epoll.descriptor, entry.pointee.descriptor)
      watches.release(watch)
      return
    }
    if entry.pointee.isArmed {
      ring.pointee.cancel(watchToken(watch, entry).rawValue)
      // The descriptor may be closed when this returns: the cancel must not come later.
      ring.pointee.submit()
    } else {
      watches.release(watch)
    }
  }

  private func addWatch(
    _ kind: Watch.Kind,
    _ descriptor: Int32,
    _ mask: UInt32,
    _ owner: Owner
  ) -> Int32 {
    let index = watches.allocate()
    guard index >= 0 else { return -1 }
    watches[index].initialize(
      to: Watch(
        kind: kind,
        isPaused: false,
        isArmed: false,
        isEnded: false,
        descriptor: descriptor,
        mask: mask,
        owner: owner
      )
    )
    arm(index, watches[index], isNew: true)
    return index
  }

  func watchToken(_ index: Int32, _ entry: UnsafeMutablePointer<Watch>) -> Token {
    Token(
      entry.pointee.kind == .listener ? .listener : .foreign,
      index: index,
      generation: watches.generation(index)
    )
  }

  func arm(_ index: Int32, _ entry: UnsafeMutablePointer<Watch>, isNew: Bool) {
    let token = watchToken(index, entry).rawValue
    let descriptor = entry.pointee.descriptor
    guard let ring else {
      _ = clinux_epoll_set_level(
        epoll.descriptor,
        descriptor,
        entry.pointee.mask,
        token,
        isNew ? 1 : 0
      )
      return
    }
    guard !entry.pointee.isArmed else { return }
    let isArmed =
      entry.pointee.kind == .listener
      ? clinux_ring_accept(ring.pointee.ring, descriptor, token)
      : clinux_ring_poll(ring.pointee.ring, descriptor, entry.pointee.mask, token)
    entry.pointee.isArmed = isArmed != 0
    if isArmed == 0 { ring.pointee.hasUnarmed = true }
  }

  private func quiet(_ index: Int32, _ entry: UnsafeMutablePointer<Watch>) {
    let token = watchToken(index, entry).rawValue
    guard let ring else {
      _ = clinux_epoll_set_level(epoll.descriptor, entry.pointee.descriptor, 0, token, 0)
      return
    }
    guard entry.pointee.isArmed else { return }
    ring.pointee.cancel(token)
  }
}
