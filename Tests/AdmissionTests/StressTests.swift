import Foundation
import Synchronization
import Testing
import Units

@testable import Admission

/// Workers on threads of their own, with nothing between them but the service they share.
struct StressTests {
  /// What the threads tell each other and the test.
  private final class Board: @unchecked Sendable {
    // Safe to share: atomics, and logs that are read after the threads have ended.
    let bells: UnsafeMutablePointer<Atomic<Bool>>
    let clock = Atomic<Int>(0)
    let held = Atomic<Int>(0)
    let mostHeld = Atomic<Int>(0)
    let dispatched = Atomic<Int>(0)
    let stuck = Atomic<Int>(0)
    let finished = Atomic<Int>(0)
    let logs: Locked<[Log]>

    init(workers: Int) {
      bells = .allocate(capacity: workers)
      for index in 0..<workers { (bells + index).initialize(to: Atomic(false)) }
      logs = Locked([])
    }

    func tick() -> Int { clock.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue }

    func hold() {
      let now = held.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
      if now > mostHeld.load(ordering: .relaxed) {
        mostHeld.max(now, ordering: .relaxed)
      }
      dispatched.add(1, ordering: .relaxed)
    }
  }

  /// One worker's waits and services, in ticks of the board's clock.
  private struct Log: Sendable {
    struct Wait: Sendable { var priority, from, to: Int }
    struct Service: Sendable { var priority, from, to, onTheirWay: Int }
    var waits: [Wait] = []
    var services: [Service] = []
  }

  private final class Runner {
    private let service: ServiceAdmission
    private let board: Board
    private let number: Int
    private let worker: TestWorker
    private var random: SplitMix64
    private var permits: [StoredPermit] = []
    private var waiting: [UInt64: (priority: Int, from: Int)] = [:]
    private var log = Log()
    private var asked = 0

    init(_ service: ServiceAdmission, _ board: Board, _ number: Int) {
      self.service = service
      self.board = board
      self.number = number
      worker = TestWorker(service, number)
      random = SplitMix64(seed: UInt64(number) + 7)
    }

    /// Asks for `count` requests and serves until all of them have ended.
    func run(_ count: Int) {
      var idle = 0
      while asked < count || !permits.isEmpty || !waiting.isEmpty {
        if step(count) {
          idle = 0
        } else {
          idle += 1
          sched_yield()
          // A wake-up that was lost would leave this thread here for good.
          if idle > 20_000_000 {
            board.stuck.add(1, ordering: .relaxed)
            break
          }
        }
      }
      board.finished.add(1, ordering: .sequentiallyConsistent)
      // Others may still leave permits here that were not needed.
      while board.finished.load(ordering: .sequentiallyConsistent) < service.settings.workers {
        _ = step(0)
        sched_yield()
      }
      let log = log
      board.logs.withLock { $0.append(log) }
    }

    private func step(_ count: Int) -> Bool {
      let from = board.tick()
      let before = onTheirWay()
      var isBusy = true
      if board.bells[number].exchange(false, ordering: .sequentiallyConsistent) {
        worker.turn(at(0), wallOffset: .zero)
      } else if asked < count, waiting.count < 200, random.next() % 3 != 0 {
        ask(from)
      } else if !permits.isEmpty {
        board.held.subtract(1, ordering: .sequentiallyConsistent)
        worker.finish(permits.removeLast(), .ignored, at: at(0))
      } else {
        isBusy = false
      }
      for case .dispatched(let handle) in worker.events(&permits) {
        board.hold()
        guard let wait = waiting.removeValue(forKey: handle) else { continue }
        let to = board.tick()
        log.waits.append(Log.Wait(priority: wait.priority, from: wait.from, to: from))
        log.services.append(
          Log.Service(
            priority: wait.priority,
            from: from,
            to: to,
            onTheirWay: max(before, onTheirWay())
          )
        )
      }
      var bells = worker.takeBells()
      while bells != 0 {
        board.bells[bells.trailingZeroBitCount].store(true, ordering: .sequentiallyConsistent)
        bells &= bells - 1
      }
      return isBusy
    }

    private func ask(_ from: Int) {
      let handle = UInt64(asked)
      asked += 1
      let priority = Int(random.next() % 4)
      switch worker.ask(handle, UInt8(priority)) {
      case .dispatched(let permit):
        board.hold()
        permits.append(permit)
      case .queued: waiting[handle] = (priority, board.tick())
      case .refused(let reason): Issue.record("refused: \(reason)")
      }
    }

    private func onTheirWay() -> Int {
      (0..<service.settings.workers).reduce(0) { $0 + Int(service.cells.credit(of: $1)) }
    }
  }

  @Test(arguments: [2, 4])
  func `no permit above the limit, no lost wake-up, no lower class before a higher`(_ workers: Int)
  {
    let limit = 3
    let requests = 3_000
    let service = makeService(limit: limit, workers: workers)
    service.cells.store(UInt64(1_000_000), ServiceCells.Place.queueBound)
    // Without the passing of time no window closes and nothing expires: only hand-over serves.
    service.cells.store(UInt64(Int64.max), ServiceCells.Place.nextTick)
    let board = Board(workers: workers)

    let done = DispatchSemaphore(value: 0)
    for number in 0..<workers {
      Thread.detachNewThread {
        Runner(service, board, number).run(requests)
        done.signal()
      }
    }
    for _ in 0..<workers { done.wait() }

    #expect(board.stuck.load(ordering: .relaxed) == 0)
    #expect(board.mostHeld.load(ordering: .relaxed) <= limit)
    #expect(board.dispatched.load(ordering: .relaxed) == workers * requests)
    #expect(service.waiting == 0)
    #expect(service.inFlight == (0..<workers).reduce(0) { $0 + Int(service.cells.credit(of: $1)) })
    let logs = board.logs.withLock { $0 }
    let worst = Self.mostPassedOver(logs)
    // Each of the other threads may be in the middle of a step of its own.
    #expect(worst <= workers, "\(worst) of a higher class waited while a lower one was served")
    #expect(logs.reduce(0) { $0 + $1.services.count } > requests / 2)
  }

  /// The most requests of a higher class that waited during all of the service of a lower one, and
  /// had no permit on its way.
  private static func mostPassedOver(_ logs: [Log]) -> Int {
    let waits = logs.flatMap(\.waits).sorted { $0.from < $1.from }
    let services = logs.flatMap(\.services).sorted { $0.from < $1.from }
    var open: [Log.Wait] = []
    var next = 0
    var worst = 0
    for service in services {
      while next < waits.count, waits[next].from < service.from {
        open.append(waits[next])
        next += 1
      }
      open.removeAll { $0.to <= service.from }
      let passed = open.count { $0.priority < service.priority && $0.to > service.to }
      worst = max(worst, passed - service.onTheirWay)
    }
    return worst
  }

  @Test func `a limit that moves under load is never passed at a dispatch`() {
    let service = makeService(limit: 8, workers: 2)
    service.cells.store(UInt64(1_000_000), ServiceCells.Place.queueBound)
    service.cells.store(UInt64(Int64.max), ServiceCells.Place.nextTick)
    let board = Board(workers: 2)

    let done = DispatchSemaphore(value: 0)
    for number in 0..<2 {
      Thread.detachNewThread {
        Runner(service, board, number).run(3_000)
        done.signal()
      }
    }
    let mover = Mover(service)
    Thread.detachNewThread { mover.run() }
    for _ in 0..<2 { done.wait() }
    mover.stop()

    #expect(board.stuck.load(ordering: .relaxed) == 0)
    #expect(board.mostHeld.load(ordering: .relaxed) <= 8)
    #expect(service.waiting == 0)
  }

  /// Moves the limit up and down between one and eight.
  private final class Mover: Sendable {
    private let service: ServiceAdmission
    private let mustStop = Atomic<Bool>(false)
    private let isDone = DispatchSemaphore(value: 0)

    init(_ service: ServiceAdmission) { self.service = service }

    func run() {
      var limit = 1
      while !mustStop.load(ordering: .relaxed) {
        service.cells.setLimit(limit)
        limit = limit % 8 + 1
        sched_yield()
      }
      isDone.signal()
    }

    func stop() {
      mustStop.store(true, ordering: .relaxed)
      isDone.wait()
    }
  }
}
