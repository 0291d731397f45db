import LoadKit
import Testing
import Units

struct ServiceModelTests {
  private func model(_ change: (inout ServiceSettings) -> Void = { _ in }) -> ServiceModel {
    var settings = ServiceSettings()
    settings.workers = 2
    settings.serviceTime = .constant(.milliseconds(10))
    change(&settings)
    return ServiceModel(settings, jobs: 10_000)
  }

  private func at(_ milliseconds: Int64) -> Instant { Instant(milliseconds * 1_000_000) }

  private func ends(_ model: inout ServiceModel, by now: Instant) -> [ServiceModel.Finished] {
    var ends: [ServiceModel.Finished] = []
    while let end = model.takeFinished(at: now) { ends.append(end) }
    return ends
  }

  @Test func `a worker goes on when it was done, not when somebody looked`() {
    var model = model()
    for job in 0..<6 { _ = model.arrive(job: Int32(job), route: -1, at: at(0)) }

    let ends = ends(&model, by: at(1_000))

    #expect(ends.map(\.job) == [0, 1, 2, 3, 4, 5])
    #expect(ends.map(\.at) == [10, 10, 20, 20, 30, 30].map(at))
    #expect(model.working == 0 && model.waiting == 0)
    #expect(model.nextFinish == .never)
  }

  @Test func `nothing ends before its time`() {
    var model = model()
    _ = model.arrive(job: 1, route: -1, at: at(5))

    #expect(model.nextFinish == at(15))
    let early = model.takeFinished(at: Instant(at(15).rawValue - 1))
    let due = model.takeFinished(at: at(15))
    #expect(early == nil)
    #expect(due?.job == 1)
  }

  @Test func `a full backlog refuses, and one without bound does not`() {
    var model = model { $0.backlog = 1 }
    var arrivals: [ServiceModel.Arrival] = []
    for job in 0..<4 { arrivals.append(model.arrive(job: Int32(job), route: -1, at: at(0))) }
    #expect(arrivals == [.accepted, .accepted, .accepted, .refused])

    var endless = self.model()
    for job in 0..<5_000 {
      let arrival = endless.arrive(job: Int32(job), route: -1, at: at(0))
      #expect(arrival == .accepted)
    }
    #expect(endless.waiting == 4_998)
  }

  @Test func `work for callers who left is done, when the service does not look`() {
    var model = model()
    for job in 0..<4 { _ = model.arrive(job: Int32(job), route: -1, at: at(0)) }

    let areFree = [model.abandon(job: 0, at: at(1)), model.abandon(job: 2, at: at(1))]

    #expect(areFree == [false, false])
    #expect(model.wasted == 1)
    #expect(ends(&model, by: at(10)).map(\.job) == [0, 1])
    #expect(model.wasted == 1)
    #expect(ends(&model, by: at(20)).map(\.job) == [2, 3])
    #expect(model.wasted == 0)
  }

  @Test func `work for callers who left is dropped, when the service looks`() {
    var model = model { $0.finishesAbandoned = false }
    for job in 0..<5 { _ = model.arrive(job: Int32(job), route: -1, at: at(0)) }

    let areFree = [model.abandon(job: 0, at: at(4)), model.abandon(job: 3, at: at(4))]

    #expect(areFree == [true, true])
    let isFreeStill = model.abandon(job: 3, at: at(4))
    #expect(isFreeStill)
    let ends = ends(&model, by: at(100))
    #expect(ends.map(\.job) == [1, 2, 4])
    #expect(ends.map(\.at) == [at(10), at(14), at(20)])
  }

  @Test func `a brownout takes workers, and recovery gives them back at once`() {
    var model = model { $0.workers = 10 }
    for job in 0..<30 { _ = model.arrive(job: Int32(job), route: -1, at: at(0)) }

    model.scale(time: 1, workers: 0.3, at: at(1))
    #expect(ends(&model, by: at(10)).count == 10)
    #expect(model.working == 3)
    #expect(ends(&model, by: at(20)).count == 3)

    model.scale(time: 2, workers: 1, at: at(21))
    #expect(model.working == 10)
    #expect(model.nextFinish == at(30))
    #expect(ends(&model, by: at(41)).count == 10)
  }

  @Test func `never less than one worker is left`() {
    var model = model()
    model.scale(time: 1, workers: 0.0001, at: at(0))

    #expect(model.workers == 1)
  }

  @Test func `killing gives every request inside, once`() {
    var model = model()
    for job in 0..<7 { _ = model.arrive(job: Int32(job), route: -1, at: at(0)) }
    _ = model.abandon(job: 1, at: at(1))

    let inside = model.kill()
    #expect(inside.count == 7 && Set(inside) == Set(0..<7))
    #expect(model.working == 0 && model.waiting == 0 && model.wasted == 0)
    let left = model.takeFinished(at: at(10_000))
    #expect(left == nil)
    let arrival = model.arrive(job: 1, route: -1, at: at(20))
    #expect(arrival == .accepted)
    #expect(ends(&model, by: at(30)).map(\.at) == [at(30)])
  }

  @Test func `past its knee a service gets slower`() {
    let knee = ServiceSettings.Knee(requests: 100, slowdown: 0.5)

    #expect(knee.factor(inside: 1) == 1)
    #expect(knee.factor(inside: 100) == 1)
    #expect(knee.factor(inside: 200) == 1.5)
    #expect(knee.factor(inside: .max) == 100)
  }

  @Test func `routes take their own times`() {
    var model = model {
      $0.routes = [.init(pathPrefix: "/slow", serviceTime: .constant(.milliseconds(70)))]
    }
    _ = model.arrive(job: 0, route: 0, at: at(0))
    _ = model.arrive(job: 1, route: -1, at: at(0))

    #expect(ends(&model, by: at(100)).map(\.at) == [at(10), at(70)])
  }

  @Test(arguments: [
    ServiceTime.constant(.milliseconds(20)), .exponential(mean: .milliseconds(20)),
    .lognormal(mean: .milliseconds(20), sigma: 1),
    .bimodal(fast: .milliseconds(10), slow: .milliseconds(110), slowShare: 0.1),
  ])
  func `service times have their mean`(time: ServiceTime) {
    var generator = SplitMix64(seed: 4)
    var sum = 0.0
    for _ in 0..<100_000 {
      let value = time.draw(&generator)
      #expect(value >= .zero)
      sum += value.milliseconds
    }

    #expect(time.mean == .milliseconds(20))
    #expect(abs(sum / 100_000 - 20) < 0.4)
  }

  @Test func `a random storm loses no request`() {
    var generator = SplitMix64(seed: 12)
    for finishes in [true, false] {
      var model = model {
        $0.workers = 5
        $0.backlog = 50
        $0.finishesAbandoned = finishes
        $0.serviceTime = .exponential(mean: .milliseconds(8))
      }
      var inside = Set<Int32>()
      var free = Array(Int32(0)..<200)
      for step in 0..<50_000 {
        let now = at(Int64(step))
        switch generator.next() % 4 {
        case 0, 1:
          guard let job = free.popLast() else { break }
          if model.arrive(job: job, route: -1, at: now) == .accepted {
            inside.insert(job)
          } else {
            free.append(job)
          }
        case 2:
          guard let job = inside.randomElement(using: &generator) else { break }
          if !finishes, model.abandon(job: job, at: now) {
            inside.remove(job)
            free.append(job)
          }
        default:
          while let end = model.takeFinished(at: now) {
            #expect(inside.remove(end.job) != nil)
            free.append(end.job)
          }
        }
        #expect(model.working + model.waiting == inside.count)
        #expect(model.working <= 5 && model.waiting <= 50)
      }
    }
  }
}
