import Testing
import Units

@testable import Admission

struct PermitTests {
  @Test func `a forgotten permit stops a debug build`() async {
    await #expect(processExitsWith: .failure) {
      let service = makeService(limit: 1)
      let worker = TestWorker(service, 0)
      let request = AdmissionRequest(handle: 1, priority: .highest)
      _ = worker.admission.decide(request, now: Instant(0))
    }
  }

  @Test func `a forgotten permit's place is given back and counted`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    _ = worker.ask(1)

    // What a release build does where a debug build stops.
    ServiceCells.giveBackForgotten(service.cells.base, 0)

    #expect(service.inFlight == 0)
    #expect(service.forgottenPermits == 1)
    #expect(worker.ask(2).isDispatched)
  }

  @Test(arguments: [PermitOutcome.served, .dropped, .ignored])
  func `every outcome gives the place back`(_ outcome: PermitOutcome) {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)

    worker.finish(worker.ask(1).permit, outcome)

    #expect(service.inFlight == 0)
    #expect(worker.ask(2).isDispatched)
  }
}
