import Admission
import Testing
import Units

/// Streams that outlast their permits: a count and a bound that all workers share.
@Suite struct OpenStreamTests {
  private static func service(workers: Int = 1) throws -> ServiceAdmission {
    ServiceAdmission(settings: try #require(ServiceSettings(workers: workers)))
  }

  @Test func `as many are counted as may be open, and each end makes room for one`() throws {
    let service = try Self.service(workers: 2)
    service.streamBound = 3
    var first = WorkerAdmission(service: service, worker: 0)
    var second = WorkerAdmission(service: service, worker: 1)

    let counted = [first.openStream(), second.openStream(), first.openStream()]
    let more = (first.hasStreamRoom, second.openStream())
    #expect(counted == [true, true, true])
    #expect(more == (false, false))
    #expect(service.openStreams == 3)
    first.closeStream()
    let next = [second.hasStreamRoom, second.openStream(), second.openStream()]
    #expect(next == [true, true, false])
    #expect(service.openStreams == 3)
  }

  @Test func `a bound that falls ends nobody and lets nobody in`() throws {
    let service = try Self.service()
    var worker = WorkerAdmission(service: service, worker: 0)
    for _ in 0..<5 { _ = worker.openStream() }

    service.streamBound = 2
    #expect(service.openStreams == 5)
    for _ in 0..<3 {
      let isCounted = worker.openStream()
      #expect(!isCounted)
      worker.closeStream()
    }
    let hasRoom = worker.hasStreamRoom
    #expect(service.openStreams == 2 && !hasRoom)
    worker.closeStream()
    let isCounted = worker.openStream()
    #expect(isCounted)
    service.streamBound = -7
    #expect(service.streamBound == 0)
  }

  @Test func `in shadow one is counted beyond the bound`() throws {
    let service = try Self.service()
    service.streamBound = 1
    var worker = WorkerAdmission(service: service, worker: 0)
    let counted = [
      worker.openStream(), worker.openStream(), worker.openStream(isForced: true),
    ]
    let refusal = worker.streamRefusal()

    #expect(counted == [true, false, true])
    #expect(service.openStreams == 2)
    #expect(refusal.reason == .openStreams)
    #expect(Refusal.retryAfterRange.contains(refusal.retryAfter))
  }
}
