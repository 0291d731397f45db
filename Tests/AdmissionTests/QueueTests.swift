import Testing
import Units

@testable import Admission

struct QueueTests {
  @Test func `links, counts and tallies hold under any order of pushes and removals`() {
    var queue = ClassQueue(capacity: 200, classes: 4, seed: 5)
    var random = SplitMix64(seed: 42)
    var model: [(index: Int32, priority: Int, tenant: UInt64, cost: Int)] = []

    for step in 0..<20_000 {
      if model.count < 200, random.next() % 100 < 55 {
        let priority = Int(random.next() % 4)
        let tenant = random.next() % 12
        let cost = Int(random.next() % 40) + 1
        let request = AdmissionRequest(
          handle: UInt64(step),
          priority: PriorityClass(UInt8(priority)),
          tenant: tenant
        )
        let due = random.next() % 3 == 0 ? at(Double(step) + 200) : .never
        let index = queue.push(request, cost: UInt16(cost), now: at(Double(step)), due: due)
        model.append((index, priority, tenant, cost))
      } else if !model.isEmpty {
        let place = Int(random.next() % UInt64(model.count))
        queue.unlink(model[place].index)
        queue.release(model[place].index)
        model.remove(at: place)
      }
      guard step % 50 == 0 else { continue }
      for priority in 0..<4 {
        let own = model.filter { $0.priority == priority }
        #expect(queue.counts[priority] == own.count)
        #expect(queue.oldest(priority) == own.first?.index ?? -1)
        #expect(queue.newest(priority) == own.last?.index ?? -1)
        var sums: [UInt64: Int] = [:]
        for entry in own { sums[entry.tenant, default: 0] += entry.cost }
        let most = sums.values.max() ?? 0
        // Buckets are an eighth of an octave wide.
        let tallies = queue.tallies(3, priority)
        #expect(Double(tallies.most) >= Double(most) * 7 / 8 && tallies.most <= most)
        #expect(tallies.own == sums[3] ?? 0)
      }
    }
  }

  @Test func `the victim is the oldest of the tenant with most`() {
    var queue = ClassQueue(capacity: 16, classes: 4, seed: 0)
    var indices: [Int32] = []
    for (handle, tenant) in [1, 2, 2, 1, 2].enumerated() {
      let request = AdmissionRequest(
        handle: UInt64(handle),
        priority: PriorityClass(1),
        tenant: UInt64(tenant)
      )
      indices.append(queue.push(request, cost: 4, now: at(0), due: .never))
    }

    #expect(queue.victim(1) == indices[1])
    #expect(queue.victim(0) == -1)
  }

  @Test func `buckets of tallies rise with them and never leave the table`() {
    var last = 0
    for tally in 0..<100_000 {
      let bucket = TenantTallies.bucket(tally)
      if bucket < last || bucket >= TenantTallies.buckets { Issue.record("at \(tally)") }
      last = bucket
    }
    #expect(TenantTallies.bucket(.max) < TenantTallies.buckets)
    #expect(TenantTallies.bucket(-5) == 0)
  }

  @Test func `deadlines come due once, also after a long pause or a clock that goes back`() {
    var queue = ClassQueue(capacity: 64, classes: 4, seed: 0)
    for handle in 0..<40 {
      let request = AdmissionRequest(handle: UInt64(handle), priority: .highest)
      _ = queue.push(request, cost: 1, now: at(1_000), due: at(1_000 + Double(handle) * 9))
    }
    func due(_ now: Instant) -> [UInt64] {
      var handles: [UInt64] = []
      var index = queue.nextDue(now)
      while index >= 0 {
        handles.append(queue.entries[index].pointee.handle)
        queue.unlink(index)
        queue.release(index)
        index = queue.nextDue(now)
      }
      return handles.sorted()
    }

    #expect(due(at(500)).isEmpty)
    let first = due(at(1_100))
    #expect(first.allSatisfy { $0 <= 11 } && first.count >= 10)
    #expect(due(at(900)).isEmpty)
    #expect(first.count + due(at(900_000)).count == 40)
    #expect(due(.never).isEmpty)
  }

  @Test func `a stale ticket names nothing`() {
    var queue = ClassQueue(capacity: 1, classes: 1, seed: 0)
    let request = AdmissionRequest(handle: 1, priority: .highest)
    let index = queue.push(request, cost: 1, now: at(0), due: .never)
    let ticket = queue.ticket(index)
    queue.unlink(index)
    queue.release(index)

    #expect(queue.find(ticket) == -1)
    _ = queue.push(request, cost: 1, now: at(0), due: .never)
    #expect(queue.find(ticket) == -1)
    #expect(queue.find(Ticket(index: 99, generation: 1)) == -1)
  }

  @Test func `classes have names, an order and a lowest one`() throws {
    let classes = PriorityClasses.standard
    #expect(classes.named("best-effort") == classes.lowest)
    #expect(classes.lowered(.highest) == classes.named("important"))
    #expect(classes.lowered(classes.lowest) == classes.lowest)
    #expect(PriorityClass.highest > classes.lowest)
    #expect(PriorityClasses(names: []) == nil)
    #expect(PriorityClasses(names: ["a", "a"]) == nil)
    #expect(PriorityClasses(names: (0...8).map { "\($0)" }) == nil)
    #expect(classes.clamped(PriorityClass(200)) == classes.lowest)
  }
}
