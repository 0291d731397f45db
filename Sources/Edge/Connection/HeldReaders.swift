internal import Units

/// Connections that hold much of what their clients asked for, as they were seen some time ago.
struct HeldReaders {
  struct Reader: BitwiseCopyable {
    let index: Int32
    let generation: UInt32
    /// Bytes that the client's kernel had taken.
    let taken: Int64
    /// Bytes that it had not been sent.
    let queued: Int
  }

  /// Readers that one look notes at most: with what each of them holds they are all of the blocks.
  static let most = 2_048

  private(set) var noted: [Reader] = []
  private var notedAt = Instant(.min)

  init() { noted.reserveCapacity(Self.most) }

  func isDue(at now: Instant) -> Bool {
    notedAt == Instant(.min) || now - notedAt >= Worker.heldPatience
  }

  /// Whether what was seen then tells who stood still: blocks may have been short now and then.
  func isOfUse(at now: Instant) -> Bool {
    notedAt != Instant(.min) && now - notedAt <= Nanoseconds(3 * Worker.heldPatience.rawValue)
  }

  var isFull: Bool { noted.count == Self.most }

  mutating func add(_ reader: Reader) { noted.append(reader) }

  /// Leaves those that still hold what they held, the ones first that hold most.
  mutating func keepStanding(_ isStanding: (Reader) -> Bool) {
    noted.removeAll { !isStanding($0) }
    noted.sort { $0.queued > $1.queued }
  }

  mutating func begin(at now: Instant) {
    noted.removeAll(keepingCapacity: true)
    notedAt = now
  }
}
