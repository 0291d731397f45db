import Admission
import Foundation
import Units

// Nanoseconds and allocations of one decision, from `decide` to the end of what it led to. Each case
// is repeated and the fastest round counts, since the machine is shared. Allocations are counted by
// `malloc_count`, which `run.sh` preloads.

/// Nanoseconds that one decision may take. Cases that make more than one call say so.
let bound = 100.0
let count = 1_000_000
let rounds = 7
var isGood = true

struct Bench: ~Copyable {
  let service: ServiceAdmission
  var worker: WorkerAdmission
  var time: Int64 = 0

  init(limit: Int?, workers: Int) {
    guard let settings = ServiceSettings(workers: workers, routes: 64) else {
      fatalError("settings of the measurement")
    }
    let limiter = limit.map { Limiter.fixed(FixedLimit(limit: $0)) } ?? .standard
    service = ServiceAdmission(settings: settings, limiter: limiter)
    worker = WorkerAdmission(service: service, worker: 0, seed: 1)
  }

  /// Takes all events and returns how many there were.
  mutating func settle(_ permits: inout [StoredPermit]) -> Int {
    var events = 0
    while worker.hasEvents {
      switch worker.next() {
      case .none:
        _ = worker.takeBells()
        return events
      case .dispatched(_, let permit):
        permits.append(permit.stored())
        events += 1
      case .refused: events += 1
      }
    }
    return events
  }

  mutating func ask(
    _ number: Int,
    _ priority: UInt8,
    tenant: Int = 0,
    _ permits: inout [StoredPermit]
  ) {
    let request = AdmissionRequest(
      handle: UInt64(number),
      priority: PriorityClass(priority),
      tenant: UInt64(tenant),
      route: Int32(number & 63),
      deadline: Instant(time + 1_000_000_000)
    )
    if case .dispatched(let permit) = worker.decide(request, now: Instant(time)) {
      permits.append(permit.stored())
    }
  }
}

let counters = open(ProcessInfo.processInfo.environment["MALLOC_COUNT_FILE"] ?? "", O_RDONLY)
guard counters >= 0 else { fatalError("start this through run.sh") }

/// Calls of the allocator so far.
func allocations(_ counters: Int32) -> UInt64 {
  var words = InlineArray<4, UInt64>(repeating: 0)
  var span = words.mutableSpan
  span.withUnsafeMutableBytes { bytes in _ = pread(counters, bytes.baseAddress, 32, 0) }
  return words[0] + words[1] + words[2] + words[3]
}

@MainActor func measure(
  _ name: String,
  limit: Int?,
  calls: Double = 1,
  _ body: (inout Bench, inout [StoredPermit], Int) -> Void
) {
  var bench = Bench(limit: limit, workers: 1)
  var permits: [StoredPermit] = []
  permits.reserveCapacity(1 << 16)
  for number in 0..<count / 10 { body(&bench, &permits, number) }
  let before = allocations(counters)
  var best = Double.infinity
  for _ in 0..<rounds {
    var start = timespec()
    var end = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start)
    for number in 0..<count { body(&bench, &permits, number) }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
    let span = Double(end.tv_sec - start.tv_sec) * 1e9 + Double(end.tv_nsec - start.tv_nsec)
    best = min(best, span / Double(count))
  }
  let made = allocations(counters) - before
  let isMet = best <= bound * calls && made == 0
  isGood = isGood && isMet
  let text = String((best * 10).rounded() / 10)
  print("\(name): \(text) ns, \(made) allocations\(isMet ? "" : "  MISSED")")
  for permit in permits { bench.worker.end(bench.worker.restore(permit), .ignored, now: .never) }
}

measure("admitted and served, below the limit", limit: 100) { bench, permits, number in
  bench.time += 10_000
  bench.ask(number, UInt8(number & 3), &permits)
  if let permit = permits.popLast() {
    bench.worker.end(bench.worker.restore(permit), .served, now: Instant(bench.time))
  }
}

measure("the same with ticks every 10 ms and the learned limit", limit: nil) {
  bench,
  permits,
  number in
  bench.time += 10_000
  bench.ask(number, UInt8(number & 3), &permits)
  if let permit = permits.popLast() {
    bench.worker.end(bench.worker.restore(permit), .served, now: Instant(bench.time))
  }
  bench.worker.turn(Instant(bench.time), wallOffset: .zero)
}

measure("refused, a higher class stands", limit: 1) { bench, permits, number in
  if number < 400 {
    bench.time += 10_000_000
    bench.ask(number, 0, &permits)
    bench.worker.turn(Instant(bench.time), wallOffset: .zero)
    _ = bench.settle(&permits)
  } else {
    bench.ask(number, 3, &permits)
  }
}

measure("refused, the queue is full", limit: 1) { bench, permits, number in
  bench.ask(number, 0, &permits)
}

measure("queued, another evicted and taken, many tenants", limit: 1, calls: 2) {
  bench,
  permits,
  number in
  bench.ask(number, UInt8(number & 1 == 0 ? 3 : 2), tenant: number & 255, &permits)
  _ = bench.settle(&permits)
  if number & 511 == 511 {
    // Newcomers of a lower class are refused once the queue is full of the higher: empty it.
    bench.time += 400_000_000
    bench.worker.turn(Instant(bench.time), wallOffset: .zero)
    _ = bench.settle(&permits)
  }
}

measure("queued, served by a permit that ends, taken", limit: 1, calls: 3) {
  bench,
  permits,
  number in
  bench.time += 10_000
  bench.ask(number, UInt8(number & 3), tenant: number & 7, &permits)
  if number & 1 == 1, let permit = permits.popLast() {
    bench.worker.end(bench.worker.restore(permit), .served, now: Instant(bench.time))
    _ = bench.settle(&permits)
    if let next = permits.popLast() {
      bench.worker.end(bench.worker.restore(next), .served, now: Instant(bench.time))
      _ = bench.settle(&permits)
    }
  }
}

exit(isGood ? 0 : 1)
