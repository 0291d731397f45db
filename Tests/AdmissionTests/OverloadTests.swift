import Testing
import Units

@testable import Admission

struct OverloadTests {
  private func after(_ change: (inout EdgePressure.Reading) -> Void, readings: Int = 100)
    -> EdgePressure
  {
    var pressure = EdgePressure()
    var reading = EdgePressure.Reading()
    change(&reading)
    for _ in 0..<readings { pressure.read(reading) }
    return pressure
  }

  @Test func `classes are shed from the lowest, the highest never`() {
    let shares = [0.79, 0.81, 0.90, 0.985, 5].map { share in
      after { $0.inFlight = Int(20_000 * share) }.shedClasses
    }

    #expect(shares == [0, 0b1000, 0b1100, 0b1110, 0b1110])
  }

  @Test func `handshakes go before any class when the processor is short, and only then`() {
    let busy = after { $0.loopDelay = .milliseconds(38) }
    let full = after { $0.memory = 0.8 }

    #expect(busy.refusesHandshakes && busy.shedClasses == 0)
    #expect(!full.refusesHandshakes && full.shedClasses != 0)
  }

  @Test func `one long turn sheds nobody`() {
    #expect(after({ $0.loopDelay = .seconds(5) }, readings: 1).shedClasses == 0)
  }

  @Test func `a pressure near a threshold does not flap`() {
    var pressure = after { $0.inFlight = 16_200 }
    var reading = EdgePressure.Reading()
    reading.inFlight = 15_800
    pressure.read(reading)
    #expect(pressure.sheds(PriorityClass(3)))

    reading.inFlight = 14_900
    pressure.read(reading)
    #expect(!pressure.sheds(PriorityClass(3)))
  }

  @Test func `nothing is accepted without descriptors, little without processor`() {
    #expect(after { $0.descriptors = 0.95 }.acceptShare == 0)
    #expect(after { $0.loopDelay = .seconds(1) }.acceptShare == 0.1)
    #expect(after { $0.inFlight = 5 }.acceptShare == 1)
  }

  @Test(arguments: [Double.nan, -1, .infinity, -.infinity])
  func `a sensor without a number does not trap`(_ odd: Double) {
    let pressure = after {
      $0.memory = odd
      $0.descriptors = odd
      $0.inFlight = .min
      $0.loopDelay = Nanoseconds(.min)
    }

    #expect((0...1).contains(pressure.pressure))
    #expect(!pressure.sheds(.highest))
    if !(odd > 0) { #expect(pressure.shedClasses == 0) }
  }
}
