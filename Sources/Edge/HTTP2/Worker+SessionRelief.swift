internal import HTTPCodec
internal import Reactor
internal import Units

/// Who pays when blocks run short: clients that ask for bodies over HTTP/2 and do not take them.
///
/// A session may hold `sessionWatermark` and a read for each of its streams, whatever its client's
/// windows say (RFC 9113 section 10.5 has it that opening none may be abuse). One such client costs
/// little; many could take every block, and then all others would be refused. So while less than a
/// quarter of the blocks is free, sessions of which next to nothing moves are ended, the one first
/// that has held most bytes for the longest time; below an eighth it is any that holds much and stood still for 200 ms.
extension Worker {
  /// Body bytes unsent from which a session counts: less is what any client has under way.
  static let heldMuch = 65_536
  /// Body bytes that have to be taken for a session not to stand still: more than what windows that
  /// are opened by a few bytes let through.
  static let heldProgress: Int64 = 65_536
  /// How long a session may stand still while blocks are short: many round trips to anywhere.
  static let heldPatience = Nanoseconds.seconds(1)
  /// The same while next to none are left; who reads makes progress meanwhile.
  private static let leastPatience = Nanoseconds.milliseconds(200)
  /// How often it is looked at: a search takes microseconds, and blocks are not taken faster.
  private static let reliefInterval = Nanoseconds.milliseconds(2)

  /// With fewer blocks free than this they are short: a quarter of all.
  var fewBlocks: Int { reactor.pool.capacity / 4 }
  var isShortOfBlocks: Bool { reactor.blocksFree < fewBlocks }

  /// Body bytes were queued for a session's streams.
  @inline(__always)
  func noteQueued(_ index: Int32, _ count: Int) {
    let session = sessions[index]
    session.pointee.queued += count
    if session.pointee.queued >= Self.heldMuch,
      session.pointee.flags.isDisjoint(with: [.isHeavy, .isUpstream])
    {
      listHeavy(index, session)
    }
  }

  /// The peer was sent body bytes, as its windows allow.
  @inline(__always)
  func noteTaken(_ session: UnsafeMutablePointer<Session>, _ count: Int) {
    session.pointee.queued -= count
    session.pointee.bodyOut += Int64(count)
    guard session.pointee.bodyOut - session.pointee.heldMark >= Self.heldProgress else { return }
    session.pointee.heldMark = session.pointee.bodyOut
    session.pointee.heldSince = reactor.now
  }

  private func listHeavy(_ index: Int32, _ session: UnsafeMutablePointer<Session>) {
    session.pointee.flags.insert(.isHeavy)
    session.pointee.heldMark = session.pointee.bodyOut
    session.pointee.heldSince = reactor.now
    session.pointee.nextHeavy = firstHeavySession
    firstHeavySession = index
  }

  /// The list is short: each of its sessions holds several blocks.
  func unlistHeavy(_ index: Int32, _ session: UnsafeMutablePointer<Session>) {
    session.pointee.flags.remove(.isHeavy)
    unlinkSession(index, from: &firstHeavySession, by: \.nextHeavy)
  }

  /// Ends sessions that hold much and take nothing, until there are blocks again.
  ///
  /// What they hold is free once they are flushed, which is what the caller does next.
  func relieve() {
    guard reactor.now - relievedAt >= Self.reliefInterval else { return }
    relievedAt = reactor.now
    let capacity = reactor.pool.capacity
    var free = reactor.blocksFree
    while free < fewBlocks {
      let index = heaviest(patience: free < capacity / 8 ? Self.leastPatience : Self.heldPatience)
      guard index >= 0 else { return }
      let session = sessions[index]
      free += max(1, session.pointee.queued / BlockPool.blockSize)
      session.pointee.http2.takeUnretainedValue().giveUp(for: .heldBodies)
      unlistHeavy(index, session)
      makeDirty(index, session)
    }
  }

  /// The session that has held most for the longest time, or -1; forgets those that hold little now.
  private func heaviest(patience: Nanoseconds) -> Int32 {
    var found: Int32 = -1
    var most = 0.0
    var index = firstHeavySession
    while index >= 0 {
      let session = sessions[index]
      let next = session.pointee.nextHeavy
      let held = reactor.now - session.pointee.heldSince
      if session.pointee.queued < Self.heldMuch {
        unlistHeavy(index, session)
      } else if held >= patience {
        // One that was noted this turn counts by its bytes alone.
        let weight = Double(session.pointee.queued) * (0.001 + held.seconds)
        if weight > most { (found, most) = (index, weight) }
      }
      index = next
    }
    return found
  }
}
