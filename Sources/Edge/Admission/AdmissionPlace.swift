internal import Admission
internal import Units

/// Where an exchange stands with its service's admission.
///
/// It begins with `Worker.ask` and ends with `Worker.leaveAdmission`, which every end of an exchange
/// passes: a permit is ended there once, a place in the queue given up.
struct AdmissionPlace: BitwiseCopyable {
  /// What a client may take in all before its exchange goes on without a permit.
  static let clientPatience = Nanoseconds.milliseconds(100)

  enum State: UInt8, BitwiseCopyable {
    /// Nothing is held: admission is off, in shadow it was refused, or it has ended.
    case none
    /// It has not been asked yet: the client owes the body.
    case gathering
    /// `ticket` names its place in the queue.
    case queued
    /// `permit` has to be ended.
    case permitted
    /// It is counted among the service's open streams.
    case streaming
  }

  var state = State.none
  /// Nobody is refused or made to wait: what is decided is counted alone.
  var isShadow = false
  /// What the response took says something about the service.
  var isLearned = true
  /// How the permit ends; the last word about the service counts.
  var outcome = PermitOutcome.ignored
  var priority: UInt8 = 0
  /// The service's place in the table of admissions, -1 for none.
  var slot: Int32 = -1
  /// The route's place among the service's.
  var route: Int32 = 0
  /// Whose share of the service it takes.
  var tenant: UInt64 = 0
  var ticket = Ticket()
  var permit = StoredPermit()
  /// How long it waited in the queue, once it has left it; negative when it never was there.
  var waited = Nanoseconds(-1)
  /// When it was decided about.
  var since = Instant.never
  /// How long the client may yet be waited for before the permit is given back.
  var patience = Self.clientPatience
  /// The permit was given back for that.
  var wasSlow = false
  /// A call of gRPC whose head is out and that found no room among the open streams.
  var isCrowded = false
  /// The time-out of a connect was ours: the handshake had not had its turn.
  var isOurFault = false
  /// When a permit that waits for its client is given back; `.never` while it does not.
  var pacedUntil = Instant.never

  /// Whether the exchange waits for its turn, or for its body before that.
  var isWaiting: Bool { state == .gathering || state == .queued && !isShadow }
}
