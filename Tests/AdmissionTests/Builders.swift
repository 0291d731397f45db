import Units

@testable import Admission

/// A service with a limit that does not move, unless another is asked for.
func makeService(
  limit: Int = 2,
  workers: Int = 1,
  routes: Int = 2,
  classes: Int = 4,
  capacity: Int = 1_024,
  limiter: Limiter? = nil
) -> ServiceAdmission {
  guard
    let settings = ServiceSettings(
      workers: workers,
      routes: routes,
      classes: classes,
      queueCapacity: capacity
    )
  else { fatalError("settings of a test") }
  return ServiceAdmission(
    settings: settings,
    limiter: limiter ?? .fixed(FixedLimit(limit: limit))
  )
}

func at(_ milliseconds: Double) -> Instant { Instant(Int64(milliseconds * 1e6)) }

/// What a decision was, with the permit as plain memory.
enum Decided: Equatable {
  case dispatched(StoredPermit)
  case queued(Ticket)
  case refused(RefusalReason)

  var isDispatched: Bool { if case .dispatched = self { true } else { false } }
  var isQueued: Bool { if case .queued = self { true } else { false } }
  var permit: StoredPermit? { if case .dispatched(let permit) = self { permit } else { nil } }
  var ticket: Ticket? { if case .queued(let ticket) = self { ticket } else { nil } }

  static func == (a: Decided, b: Decided) -> Bool {
    switch (a, b) {
    case (.dispatched, .dispatched): true
    case (.queued(let x), .queued(let y)): x == y
    case (.refused(let x), .refused(let y)): x == y
    default: false
    }
  }
}

enum Happened: Equatable {
  case dispatched(UInt64)
  case refused(UInt64, RefusalReason)
}

/// A worker's admission behind a reference, since expectations cannot hold what is not copyable.
final class TestWorker {
  var admission: WorkerAdmission

  init(_ service: ServiceAdmission, _ worker: Int) {
    admission = WorkerAdmission(service: service, worker: worker)
  }

  func ask(
    _ handle: UInt64,
    _ priority: UInt8 = 0,
    tenant: UInt64 = 0,
    route: Int32 = 0,
    deadline: Instant = .never,
    at now: Instant = at(0)
  ) -> Decided {
    let request = AdmissionRequest(
      handle: handle,
      priority: PriorityClass(priority),
      tenant: tenant,
      route: route,
      deadline: deadline
    )
    switch admission.decide(request, now: now) {
    case .dispatched(let permit): return .dispatched(permit.stored())
    case .queued(let ticket): return .queued(ticket)
    case .refused(let refusal): return .refused(refusal.reason)
    }
  }

  /// The same for what is of use only at once.
  func askNow(_ handle: UInt64, _ priority: UInt8 = 0, deadline: Instant = .never) -> StoredPermit?
  {
    let request = AdmissionRequest(
      handle: handle,
      priority: PriorityClass(priority),
      tenant: 0,
      route: 0,
      deadline: deadline
    )
    return admission.admitNow(request, now: at(0))?.stored()
  }

  /// Takes all events; permits of dispatched requests are added to `permits`.
  func events(_ permits: inout [StoredPermit]) -> [Happened] {
    var happened: [Happened] = []
    while true {
      switch admission.next() {
      case .none: return happened
      case .dispatched(let handle, let permit):
        permits.append(permit.stored())
        happened.append(.dispatched(handle))
      case .refused(let handle, let refusal): happened.append(.refused(handle, refusal.reason))
      }
    }
  }

  func finish(
    _ permit: StoredPermit?,
    _ outcome: PermitOutcome = .served,
    at now: Instant = at(1)
  ) {
    guard let permit else { return }
    admission.end(admission.restore(permit), outcome, now: now)
  }

  /// Ticks every 10 ms from one time to another, in milliseconds.
  func pass(from: Double, to: Double) {
    var time = from
    while time <= to {
      turn(at(time), wallOffset: .zero)
      time += 10
    }
  }

  func turn(_ now: Instant, wallOffset: Nanoseconds) { admission.turn(now, wallOffset: wallOffset) }

  func isLimited(besides own: Int = 0) -> Bool { admission.isLimited(besides: own) }

  func takeBells() -> UInt64 { admission.takeBells() }

  func cancel(_ ticket: Ticket, now: Instant) -> Bool { admission.cancel(ticket, now: now) }
}
