public import Units

/// Keeps a list of endpoints as a registry has it: asks, hears changes, and asks anew.
///
/// ```
///             wake                     head 200 of a stream
///   resting ───────▶ asking ──────────────────────────────▶ hearing ──┐ changes
///      ▲               │ ▲ a list: the next request at once   │   ▲───┘
///      │   failure,    │ └────────────── relist ──────────────┤
///      └── too late ───┴───────────────── end ────────────────┘
/// ```
///
/// It knows neither sockets nor clocks: whoever drives it carries out its steps in their order, tells it
/// what becomes of the one call that is under way, and wakes it when it is due. A failure forgets what
/// was heard, so what follows is a whole list.
public struct RegistryWatcher: Sendable {
  /// What is to be done.
  public enum Step: Sendable, Equatable {
    /// Give up the call that is under way, if there is one.
    case cancel
    /// Begin this call.
    case begin(ServiceRequest)
    case list(RegistryList)
    case failure(DiscoveryFailure, String)
    case resync(RegistryResync)
  }

  private enum Phase: Sendable {
    case resting
    case asking
    case hearing
  }

  /// Bytes of the body of a refusal that are looked at.
  private static let longestRefusal = 4_096

  /// When `wake` has something to do.
  public private(set) var due: Instant
  private var speaker: any RegistrySpeaker
  private let pacing: RegistryPacing
  private var phase = Phase.resting
  private var isStream = false
  /// When the last request went out.
  private var since: Instant
  /// When the whole list is asked for, whatever is heard.
  private var relist = Instant.never
  private var failures = 0
  /// The answer's status where it is not 200, and the beginning of its body.
  private var refusal: (status: Int, body: [UInt8])?

  /// - Parameters:
  ///   - question: What is asked, and whom.
  ///   - rules: What holds for the endpoints.
  ///   - pacing: When it is asked again.
  ///   - now: The present: it is due at once.
  public init(
    _ question: RegistryQuestion,
    _ rules: RegistryRules,
    pacing: RegistryPacing = RegistryPacing(),
    at now: Instant
  ) {
    speaker = question.speaker(rules)
    self.pacing = pacing
    due = now
    since = now
  }

  /// Does what the time has come for.
  public mutating func wake(
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) -> [Step] {
    guard now >= due else { return [] }
    switch phase {
    case .resting: return [begin(at: now)]
    case .hearing:
      // It was well for minutes: what failed before is forgotten.
      failures = 0
      speaker.reset()
      return [.cancel, .resync(.periodic), begin(at: now)]
    case .asking:
      let seconds = speaker.patience.rawValue / 1_000_000_000
      let problem = "does not answer within \(seconds) s"
      return fail(.unavailable, problem, at: now, using: &random)
    }
  }

  /// Notes that a request could not go out.
  public mutating func cannotAsk(
    _ problem: String,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) -> [Step] {
    fail(.unavailable, problem, at: now, using: &random)
  }

  /// Takes what became of the call.
  ///
  /// What comes behind a step that ends the call is not for this.
  public mutating func hear(
    _ event: ServiceEvent,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) -> [Step] {
    guard phase != .resting else { return [] }
    let turn: RegistryTurn
    switch event {
    case .head(200, let fields):
      turn = speaker.head(fields)
      if isStream, speaker.hearsChanges {
        phase = .hearing
        due = relist
      }
    case .head(let status, _):
      refusal = (status, [])
      turn = .on
    case .body(let bytes):
      guard let refusal else {
        turn = speaker.body(bytes)
        break
      }
      self.refusal?.body += bytes.prefix(Self.longestRefusal - refusal.body.count)
      turn = .on
    case .end:
      if let refusal {
        turn = speaker.refused(refusal.status, refusal.body)
      } else {
        turn = speaker.end()
      }
    case .failed(let problem):
      // Streams break now and then; that the registry is away the next request will tell.
      turn = phase == .hearing ? .resync(.interrupted) : .failed(.unavailable, problem)
    }
    return take(turn, at: now, using: &random)
  }

  private mutating func take(
    _ turn: RegistryTurn,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) -> [Step] {
    switch turn {
    case .on: return []
    case .list(let list):
      if isStanding(at: now) { failures = 0 }
      return [say(list)]
    case .next(nil): return [begin(at: now)]
    case .next(let list?):
      relist = now + pacing.untilRelist(using: &random)
      return [say(list), begin(at: now)]
    case .again(let list, let pace):
      failures = 0
      return [say(list)] + rest(pace, at: now, using: &random)
    case .ended:
      restAfterStream(at: now, using: &random)
      return [.cancel]
    case .resync(let why):
      speaker.reset()
      restAfterStream(at: now, using: &random)
      return [.cancel, .resync(why)]
    case .failed(let failure, let problem):
      return fail(failure, problem, at: now, using: &random)
    }
  }

  /// A list of which nothing is of use, though something is there, is none; what changes in it is heard.
  private func say(_ list: RegistryList) -> Step {
    guard list.endpoints.isEmpty, let remark = list.remark else { return .list(list) }
    return .failure(.invalid, remark.words)
  }

  private mutating func begin(at now: Instant) -> Step {
    let request = speaker.request()
    phase = .asking
    isStream = request.isStream
    refusal = nil
    since = now
    due = now + speaker.patience
    return .begin(request)
  }

  private func isStanding(at now: Instant) -> Bool { now - since >= pacing.standing }

  private mutating func fail(
    _ failure: DiscoveryFailure,
    _ problem: String,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) -> [Step] {
    speaker.reset()
    backOff(at: now, using: &random)
    return [.cancel, .failure(failure, problem)]
  }

  private mutating func backOff(at now: Instant, using random: inout some RandomNumberGenerator) {
    failures += 1
    phase = .resting
    due = now + pacing.wait(failures: failures, using: &random)
  }

  /// A stream that stood for a while is followed soon, by edges that lost theirs together not at once.
  private mutating func restAfterStream(
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) {
    if isStanding(at: now) { failures = 0 }
    backOff(at: now, using: &random)
  }

  private mutating func rest(
    _ pace: RegistryPace,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) -> [Step] {
    phase = .resting
    let half = Nanoseconds(pacing.polling.rawValue / 2)
    switch pace {
    case .news: due = max(now, since + pacing.between)
    case .reset:
      due = max(now, since + pacing.between)
      return [.resync(.indexReset)]
    case .same where isStanding(at: now): due = now
    // Waiting was asked for and did not happen, or could not be asked for.
    case .same, .unnumbered: due = now + half + pacing.upTo(half, using: &random)
    }
    return []
  }
}
