internal import Admission
internal import Units

/// What a worker knows of the pressure on this process, and when it looks again.
struct WorkerOverload {
  var pressure: EdgePressure
  /// Requests in flight here from which on each new one is looked at: in calm those that are missing
  /// to the next threshold, so that a request costs one comparison.
  var mark = Int.max
  /// Those from which on all are counted anew.
  var countMark = Int.max
  /// Exchanges that may wait for their bodies before a permit is asked for: each holds a block, and
  /// counts as in flight.
  private(set) var mostGathering = 0
  /// The longest turn since the last look, and when the present one began.
  var longestTurn = Nanoseconds.zero
  var turnBegan = Instant(.min)
  var nextLook = Instant(.min)
  /// Sessions of HTTP/2 have yet to be told that they may have all their streams again; the next of
  /// the table to be asked.
  var isWidening = false
  var nextSession: Int32 = 0

  /// Time between two looks while there are turns; a look reads a cache line of each worker.
  static let interval = Nanoseconds.milliseconds(10)
  /// The same while nothing happens but something is refused.
  static let idleInterval = Nanoseconds.milliseconds(50)
  /// Pressure of memory above which blocks that nobody holds are given back to the kernel.
  static let shortOfMemory = 0.5
  /// Free blocks that a worker keeps even then.
  static let spareBlocks = 64
  /// Blocks that one look gives back at most.
  static let blocksGivenBack = 32
  /// Sessions asked and told in one look: telling one costs a write.
  static let sessionsAsked: Int32 = 8_192
  static let sessionsTold = 256
  /// How long who was refused is asked to stay away at least: the pressure of a loop takes half of it
  /// to fall.
  static let retryAfter = Nanoseconds.seconds(1)
  /// What one accepted connection is waited for at half of the usual pace, see `acceptPause`.
  static let acceptInterval = Nanoseconds.milliseconds(1)
  /// Time until it is looked again whether anything may be accepted.
  static let acceptRetry = Nanoseconds.milliseconds(50)

  init(classes: Int) { pressure = EdgePressure(classes: classes) }

  /// When a turn has to come though nothing happens: what was refused is let in again.
  private(set) var wait: Nanoseconds?

  /// Finds out anew when that is, for it is asked for in every turn.
  mutating func setWait() {
    wait = isWidening ? Self.interval : pressure.isCalm ? nil : Self.idleInterval
  }

  /// How long nothing more is accepted after a connection was; zero in calm.
  var acceptPause: Nanoseconds {
    let share = pressure.acceptShare
    guard share < 1 else { return .zero }
    guard share > 0 else { return Self.acceptRetry }
    return Nanoseconds(Int64(Double(Self.acceptInterval.rawValue) * (1 / share - 1)))
  }

  /// Takes the bound of exchanges that wait for their bodies.
  mutating func setGathering(blocks: Int, inFlight: Int, workers: Int) {
    mostGathering = max(1, min(blocks, inFlight / max(workers, 1)) / 8)
  }

  /// Takes the marks for what was read just now.
  ///
  /// - Parameters:
  ///   - inFlight: Requests in flight here.
  ///   - workers: Those who share the room that is left.
  mutating func setMarks(inFlight: Int, workers: Int) {
    let (all, own) = (pressure.inFlightRoom, pressure.bufferRoom)
    let room = min(all > Int.max / 2 ? .max : max(1, all / max(1, workers)), own)
    countMark = room > Int.max / 2 ? .max : inFlight + room
    mark = pressure.shedClasses == 0 ? countMark : 0
  }
}
