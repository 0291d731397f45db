public import Units

/// How many handshakes one worker has under way, and how long a client's may stand still while others
/// wait.
///
/// One takes a core 0.3 ms with ECDSA and 1 ms with RSA, and a client far away needs 0.2 s for it
/// (docs/decisions/0003): a thousand keep a core busy, and take 17 MiB where each of them stops
/// halfway. Why they are displaced stands in docs/decisions/0004.
public struct HandshakeBounds: Sendable {
  /// Clients of which a part of the ClientHello came; one more displaces the oldest.
  public var greeting = 1_024
  /// Handshakes that have begun.
  public var running = 1_024
  /// Clients that wait for one of them to end, in order; further ones are refused.
  public var waiting = 1_024
  /// Handshakes with services that have begun; further ones wait, as long as a connect may take.
  public var upstream = 1_024
  /// Those of one service: where they hang, others go on.
  var perService: Int { max(1, upstream / 2) }
  /// Steps with asymmetric operations in one turn: other connections wait that long.
  public var stepsPerTurn = 4
  /// How long after our first answer a handshake keeps its place while others wait: a lost packet
  /// costs a client 1 s (RFC 6298 section 2).
  public var patience = Nanoseconds.seconds(2)
  /// The same when as many wait as may: longer than a round trip around the world.
  public var leastPatience = Nanoseconds.milliseconds(250)

  public init() {}

  /// How long a handshake keeps its place while `count` clients wait.
  func patience(whileWaiting count: Int) -> Nanoseconds {
    let share = Double(min(count, waiting)) / Double(max(1, waiting))
    let span = Double(max(0, (patience - leastPatience).rawValue))
    return patience - Nanoseconds(Int64(span * share))
  }
}
