internal import Units

/// Requests that go out beside the limit, since somebody else keeps more of it than its share; see
/// `TenantShares`.
extension WorkerAdmission {
  private var beside: TenantShares.Beside {
    mutating get { TenantShares.Beside(rawValue: cells.load(ServiceCells.Place.beside)) }
  }

  /// Whether a tenant, who gave a permit back just now, keeps more than its share from others.
  ///
  /// What fails of such a one's requests says something about them, and would else take the limit down
  /// for all; where it is alone, it may as well be the service.
  mutating func isExcess(_ bucket: UInt8) -> Bool {
    let beside = beside
    return beside.hasOthers && cells.held(bucket) >= beside.share
  }

  /// Takes a permit for a newcomer beside the limit.
  ///
  /// The order of classes stands: not while a higher one waits anywhere.
  mutating func admitBeside(_ bucket: UInt8, _ priority: Int) -> Bool {
    let beside = beside
    guard beside.excess > 0, cells.held(bucket) < beside.share, highestWaiting() >= priority,
      cells.admit(beyond: beside.excess)
    else { return false }
    cells.hold(bucket)
    return true
  }

  /// The same for those who wait here already, the oldest first.
  mutating func serveBeside() {
    let beside = beside
    guard beside.excess > 0, queue.count > 0 else { return }
    let priority = highestWaiting()
    guard priority < classes else { return }
    // Whoever keeps the service busy may have queued most of what waits: what is behind more of it
    // than this is reached as its requests leave.
    var index = queue.oldest(priority)
    var looks = 64
    while index >= 0, looks > 0 {
      let next = queue.entries[index].pointee.next
      let bucket = queue.entries[index].pointee.bucket
      if cells.held(bucket) < beside.share {
        guard cells.admit(beyond: beside.excess) else { return }
        ready(index)
      }
      index = next
      looks -= 1
    }
  }

  /// The highest class that waits with any worker; beyond all when nothing does.
  private mutating func highestWaiting() -> Int {
    var highest = PriorityClasses.maximum
    for other in 0..<cells.workers {
      let packed = other == worker ? published : cells.waiting(of: other)
      if packed != 0 { highest = min(highest, packed.trailingZeroBitCount / 8) }
    }
    return highest
  }
}
