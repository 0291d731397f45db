internal import Reactor
internal import TLS
internal import Units
internal import Upstream

/// The checks of one endpoint, by the one worker that makes them.
///
/// ```
/// resting --timer--> (queued, while too many run) --> running --result or timer--> resting
/// ```
final class EndpointCheck {
  var plan: CheckPlan
  var endpoint: CheckPlan.Endpoint
  /// The end of the rest, or of a check's time.
  let timer: Int32
  /// When the present rest ends.
  var due: Instant
  var isQueued = false
  /// The check under way.
  var talk: CheckTalk?

  init(_ plan: CheckPlan, _ endpoint: CheckPlan.Endpoint, timer: Int32, due: Instant) {
    self.plan = plan
    self.endpoint = endpoint
    self.timer = timer
    self.due = due
  }

  var place: Int32 { endpoint.lease.place }
}

/// One check under way: its connection, its TLS and its protocol.
final class CheckTalk {
  enum Conversation {
    /// Nothing is asked yet, or nothing but a connection is.
    case none
    case http1(HTTP1Check)
    case http2(HTTP2Check)
  }

  /// What it began with; a reload changes the next one.
  let plan: CheckPlan
  let endpoint: CheckPlan.Endpoint
  let socket: Int32
  var isConnected = false
  var tls: TLSSession?
  var isEstablished = false
  /// Ciphertext that was not used yet.
  var input: [UInt8] = []
  /// Bytes that came, of all layers.
  var received = 0
  var conversation = Conversation.none

  /// A handshake with the longest chain that TLS takes, and an answer.
  static let mostBytes = 262_144

  init(_ plan: CheckPlan, _ endpoint: CheckPlan.Endpoint, socket: Int32) {
    self.plan = plan
    self.endpoint = endpoint
    self.socket = socket
  }
}

/// All checks of a worker.
struct CheckTable {
  private(set) var entries: [EndpointCheck?] = []
  private var free: [Int32] = []
  private var byPlace: [Int32: Int32] = [:]
  /// Those that are due and wait for others to end, in that order.
  private var queue: [Int32] = []
  private var queueHead = 0
  var running = 0
  /// Those that waited are being started.
  var isStarting = false
  /// What is decrypted goes through here.
  var plaintext: [UInt8] = []

  /// Checks of one worker that are under way at once: each has a descriptor, and one that hangs
  /// takes it for its whole time.
  static let mostRunning = 256

  var isEmpty: Bool { byPlace.isEmpty }
  var places: [Int32] { Array(byPlace.keys) }

  subscript(_ index: Int32) -> EndpointCheck? {
    entries.indices.contains(Int(index)) ? entries[Int(index)] : nil
  }

  func index(of place: Int32) -> Int32? { byPlace[place] }

  /// The index that the next entry will have.
  var nextIndex: Int32 { free.last ?? Int32(entries.count) }

  mutating func insert(_ check: EndpointCheck) {
    let index = nextIndex
    if free.popLast() == nil { entries.append(check) } else { entries[Int(index)] = check }
    byPlace[check.place] = index
  }

  mutating func remove(_ index: Int32) {
    guard let check = self[index] else { return }
    byPlace[check.place] = nil
    entries[Int(index)] = nil
    free.append(index)
    if check.isQueued {
      queue = queue[queueHead...].filter { $0 != index }
      queueHead = 0
    }
  }

  mutating func enqueue(_ index: Int32) {
    queue.append(index)
    self[index]?.isQueued = true
  }

  /// The one that waited longest, or `nil`.
  mutating func dequeue() -> Int32? {
    guard queueHead < queue.count else { return nil }
    let index = queue[queueHead]
    queueHead += 1
    if queueHead == queue.count || queueHead > 1_024 {
      queue.removeFirst(queueHead)
      queueHead = 0
    }
    self[index]?.isQueued = false
    return index
  }
}
