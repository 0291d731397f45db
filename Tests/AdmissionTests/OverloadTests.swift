import Testing
import Units

@testable import Admission

struct OverloadTests {
  private static let settings = EdgePressure.Settings(descriptors: 1_000, connections: 1_000)

  /// A process that is read every `interval` at a time of the test's own.
  private struct Process {
    var pressure: EdgePressure
    var now = Instant(1_000_000_000)

    init(_ settings: EdgePressure.Settings = OverloadTests.settings, classes: Int = 4) {
      pressure = EdgePressure(settings: settings, classes: classes)
      pressure.read(EdgePressure.Reading(), at: now)
    }

    mutating func pass(
      _ time: Nanoseconds,
      every interval: Nanoseconds = .milliseconds(10),
      _ change: (inout EdgePressure.Reading) -> Void = { _ in }
    ) {
      var reading = EdgePressure.Reading()
      change(&reading)
      let end = now + time
      while now < end {
        now = now + interval
        pressure.read(reading, at: now)
      }
    }
  }

  private func after(_ change: (inout EdgePressure.Reading) -> Void) -> EdgePressure {
    var process = Process()
    process.pass(.seconds(5), change)
    return process.pressure
  }

  // MARK: - Classes

  @Test func `classes are shed from the lowest, the highest never`() {
    let shares = [0.79, 0.81, 0.90, 0.985, 5].map { share in
      after { $0.inFlight = Int(20_000 * share) }.shedClasses
    }

    #expect(shares == [0, 0b1000, 0b1100, 0b1110, 0b1110])
  }

  @Test func `requests in flight and memory count at once`() {
    var process = Process()
    process.pass(.milliseconds(10)) { $0.inFlight = 20_000 }
    #expect(process.pressure.shedClasses == 0b1110)

    process.pass(.milliseconds(10)) { $0.memory = 0.86 }
    #expect(process.pressure.sheds(PriorityClass(3)))
    #expect(process.pressure.leading == .memory)
  }

  @Test func `memory begins to shed where its setting says, and is full before it is gone`() {
    let shares = [0.5, 0.84, 0.86, 0.95, 1].map { share in after { $0.memory = share }.shedClasses }
    let half = after { $0.memory = 0.425 }

    #expect(shares == [0, 0, 0b1000, 0b1110, 0b1110])
    #expect(abs(half[.memory] - 0.4) < 0.001)
  }

  @Test func `all of the memory may be the bound`() {
    var settings = Self.settings
    settings.memory = 1
    var process = Process(settings)
    process.pass(.seconds(1)) { $0.memory = 1 }

    #expect(process.pressure.shedClasses == 0)
  }

  @Test(arguments: [1, 2, 8])
  func `any number of classes keeps its highest`(classes: Int) {
    var process = Process(classes: classes)
    process.pass(.seconds(1)) { $0.inFlight = 20_000 }

    #expect(process.pressure.shedClasses.nonzeroBitCount == classes - 1)
    #expect(!process.pressure.sheds(PriorityClass.highest))
  }

  @Test func `buffers of a worker count at once, and refusals have some left`() {
    let shares = [0.87, 0.88, 0.92, 0.955, 1].map { share in
      after {
        $0.buffers = Int(8_000 * share)
        $0.mostBuffers = 8_000
      }.shedClasses
    }

    #expect(shares == [0, 0b1000, 0b1100, 0b1110, 0b1110])
    #expect(after { $0.buffers = 8_000 }.isCalm, "nobody knows of how many")
  }

  @Test func `the room in buffers ends before the next class is shed`() {
    var process = Process()
    for used in [0, 4_000, 6_999, 7_000, 7_001, 7_500] {
      func read(_ more: Int) {
        process.pass(.milliseconds(10)) {
          $0.buffers = used + more
          $0.mostBuffers = 8_000
        }
      }
      read(0)
      let (before, room) = (process.pressure.shedClasses, process.pressure.bufferRoom)
      // Two for each request: its head, and what came of its body.
      read(2 * (room - 1))
      #expect(process.pressure.shedClasses == before, "\(used)")
      read(2 * room + 2)
      #expect(process.pressure.shedClasses > before, "\(used)")
    }
    process.pass(.milliseconds(10)) {
      $0.buffers = 8_000
      $0.mostBuffers = 8_000
    }
    #expect(process.pressure.bufferRoom == .max, "all are shed that may be")
  }

  @Test func `a pressure near a threshold does not flap`() {
    var process = Process()
    process.pass(.seconds(1)) { $0.inFlight = 16_200 }
    process.pass(.seconds(1)) { $0.inFlight = 15_800 }
    #expect(process.pressure.sheds(PriorityClass(3)))

    process.pass(.milliseconds(10)) { $0.inFlight = 14_900 }
    #expect(!process.pressure.sheds(PriorityClass(3)))
  }

  @Test func `the room that is left ends where the next class is shed`() {
    var process = Process()
    for inFlight in [0, 10_000, 16_000, 16_001, 17_900, 19_600, 19_601, 30_000] {
      process.pass(.milliseconds(10)) { $0.inFlight = inFlight }
      let before = process.pressure.shedClasses
      let room = process.pressure.inFlightRoom
      guard before != 0b1110 else {
        #expect(room == .max)
        continue
      }

      process.pass(.milliseconds(10)) { $0.inFlight = inFlight + room - 1 }
      #expect(room == 1 || process.pressure.shedClasses == before, "\(inFlight)")
      process.pass(.milliseconds(10)) { $0.inFlight = inFlight + room }
      #expect(process.pressure.shedClasses > before, "\(inFlight)")
      process.pass(.milliseconds(10))
    }
  }

  // MARK: - The loop

  @Test func `one long turn sheds nobody, and is forgotten`() {
    var process = Process()
    process.pass(.seconds(5), every: .seconds(5)) { $0.loopDelay = .seconds(5) }
    #expect(process.pressure.shedClasses == 0 && !process.pressure.refusesHandshakes)

    process.pass(.seconds(1))
    #expect(process.pressure.isCalm)
  }

  @Test func `turns that stay long shed within half a second, and let in as soon`() {
    var process = Process()
    process.pass(.milliseconds(500), every: .milliseconds(50)) {
      $0.loopDelay = .milliseconds(50)
    }
    #expect(process.pressure.sheds(PriorityClass(3)))
    #expect(process.pressure.leading == .loopDelay)

    process.pass(.milliseconds(500))
    #expect(process.pressure.isCalm)
  }

  @Test func `a loop that sleeps for long is at rest when it wakes`() {
    var process = Process()
    process.pass(.seconds(1)) { $0.loopDelay = .seconds(1) }
    process.pass(.seconds(60), every: .seconds(60))

    #expect(process.pressure[.loopDelay] < 0.01)
  }

  @Test func `to read again within a turn says nothing new of the loop`() {
    var process = Process()
    var reading = EdgePressure.Reading()
    reading.loopDelay = .seconds(1)
    for _ in 0..<100 { process.pressure.read(reading, at: process.now) }

    #expect(process.pressure[.loopDelay] == 0)
  }

  // MARK: - What else is refused

  @Test func `handshakes go before any class when the processor is short`() {
    let busy = after { $0.loopDelay = .milliseconds(38) }
    let full = after { $0.memory = 0.9 }
    let nearlyGone = after { $0.memory = 0.93 }

    #expect(busy.refusesHandshakes && busy.shedClasses == 0)
    #expect(!full.refusesHandshakes && full.shedClasses != 0)
    #expect(nearlyGone.refusesHandshakes)
  }

  @Test func `what ended for the loop is not held up by memory`() {
    var process = Process()
    process.pass(.seconds(1)) {
      $0.loopDelay = .seconds(1)
      $0.memory = 0.91
    }
    #expect(process.pressure.refusesHandshakes)

    process.pass(.seconds(1)) { $0.memory = 0.91 }
    #expect(!process.pressure.refusesHandshakes)
  }

  @Test func `nothing is accepted without descriptors, little without processor`() {
    #expect(after { $0.descriptors = 950 }.acceptShare == 0)
    #expect(after { $0.loopDelay = .seconds(1) }.acceptShare == 0.1)
    #expect(abs(after { $0.inFlight = 19_000 }.acceptShare - 0.5) < 0.001)
    #expect(after { $0.inFlight = 5 }.acceptShare == 1)
  }

  @Test func `a table full of clients slows accepting and sheds nobody`() {
    let full = after { $0.connections = 1_000 }

    #expect(full.acceptShare == 0.1)
    #expect(full.shedClasses == 0 && !full.narrowsStreams && !full.refusesHandshakes)
    #expect(!full.isCalm)
  }

  @Test func `clients get fewer streams at once, and are not told another number each moment`() {
    var process = Process()
    process.pass(.milliseconds(10)) { $0.inFlight = 19_000 }
    #expect(process.pressure.narrowsStreams)

    process.pass(.milliseconds(500))
    #expect(process.pressure.narrowsStreams && !process.pressure.isCalm)
    process.pass(.milliseconds(510))
    #expect(!process.pressure.narrowsStreams && process.pressure.isCalm)
    process.pass(.milliseconds(500)) { $0.inFlight = 20_000 }
    #expect(!process.pressure.narrowsStreams)
    process.pass(.milliseconds(510)) { $0.inFlight = 20_000 }
    #expect(process.pressure.narrowsStreams)
  }

  @Test func `another configuration is judged with the next reading`() {
    var process = Process()
    process.pass(.seconds(1)) { $0.inFlight = 50 }
    #expect(process.pressure.isCalm)
    var settings = Self.settings
    settings.inFlight = 50
    process.pressure.adopt(settings)

    process.pass(.milliseconds(10)) { $0.inFlight = 50 }
    #expect(process.pressure.shedClasses == 0b1110)
  }

  // MARK: - Hostile numbers

  @Test(arguments: [Double.nan, -1, .infinity, -.infinity])
  func `a sensor without a number does not trap`(_ odd: Double) {
    for number in [Int.min, .max] {
      let pressure = after {
        $0.memory = odd
        $0.descriptors = number
        $0.connections = number
        $0.inFlight = number
        $0.buffers = number
        $0.mostBuffers = number
        $0.loopDelay = Nanoseconds(.min)
      }

      #expect((0...1).contains(pressure.pressure))
      #expect(!pressure.sheds(PriorityClass.highest))
      #expect(pressure.inFlightRoom >= 1)
      #expect(pressure.bufferRoom >= 1)
      if !(odd > 0), number < 0 { #expect(pressure.shedClasses == 0) }
    }
  }

  @Test func `bounds that are not known press nobody`() {
    var process = Process(EdgePressure.Settings(loopDelay: .zero, memory: 0, inFlight: 0))
    process.pass(.seconds(1)) {
      $0.loopDelay = .seconds(1)
      $0.descriptors = 1_000_000
      $0.connections = 1_000_000
      $0.inFlight = 1_000_000
      $0.buffers = 1_000_000
    }

    #expect(process.pressure.isCalm)
  }
}
