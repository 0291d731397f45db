import Testing
import Units

@testable import Admission

/// What becomes of a cohort some of whose members time out.
struct CohortTests {
  @Test func `a few that time out do not keep a cohort from being judged`() {
    let service = makeService(limiter: .standard)
    let worker = TestWorker(service, 0)
    var next: UInt64 = 0
    var held: [StoredPermit] = []
    var hung: [StoredPermit] = []

    for round in 1...14 {
      let time = Double(round) * 100
      while service.waiting < 20 {
        if let permit = worker.ask(next, at: at(time)).permit { held.append(permit) }
        next += 1
      }
      worker.pass(from: time, to: time + 90)
      var ended = held
      held = []
      if round == 4 {
        // More than a tenth of a cohort, and too few to count as drops of the service.
        hung = Array(ended.prefix(3))
        ended.removeFirst(3)
      }
      if round == 9 {
        for permit in hung { worker.finish(permit, .dropped, at: at(time + 90)) }
        _ = worker.events(&held)
      }
      for permit in ended {
        worker.finish(permit, at: at(time + 90))
        _ = worker.events(&held)
      }
    }

    #expect(service.limit > 16)
    for permit in held { worker.finish(permit, .ignored, at: at(2_000)) }
    _ = worker.events(&held)
  }
}
