import Configuration
import Foundation
import Reactor
import Synchronization
import Testing
import Upstream

@testable import Edge

struct SharedStateTests {
  @Test func `what validation accepts the tables hold`() {
    #expect(SharedState.maximumListeners >= Settings.maximumListeners)
    #expect(ServiceDirectory.capacity >= Settings.maximumServices)
    #expect(EndpointDirectory.capacity >= Settings.maximumEndpoints)
  }

  @Test func `threads that race for reservations never pass the bound`() {
    let state = SharedState()
    let held = Atomic(0)
    let excess = Atomic(0)
    let wins = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      for _ in 0..<20_000 where state.reserveClient(7, 3) {
        // Counted inside the reservation, so this sees at most the bound.
        let now = held.add(1, ordering: .sequentiallyConsistent).newValue
        if now > 3 { excess.add(1, ordering: .relaxed) }
        wins.add(1, ordering: .relaxed)
        held.subtract(1, ordering: .sequentiallyConsistent)
        state.returnClient(7)
      }
    }
    #expect(excess.load(ordering: .relaxed) == 0)
    #expect(wins.load(ordering: .relaxed) > 0)
  }

  @Test func `a bound that is reached refuses until one is given back`() {
    let state = SharedState()
    let address = IPBytes(high: 1, low: 2)
    #expect(!state.reserveClient(0, 0))
    #expect(state.reserveClient(0, 1))
    #expect(!state.reserveClient(0, 1))
    #expect(state.reserveClient(1, 1))
    state.returnClient(0)
    #expect(state.reserveClient(0, 1))

    #expect(state.reserveAddress(address, 1))
    #expect(!state.reserveAddress(address, 1))
    #expect(state.reserveAddress(IPBytes(high: 2, low: 2), 1))
    state.returnAddress(address)
    #expect(state.reserveAddress(address, 1))
  }

  @Test func `giving back an address that holds nothing does not go below zero`() {
    let state = SharedState()
    let address = IPBytes(high: 9, low: 9)
    state.returnAddress(address)
    #expect(state.reserveAddress(address, 1))
    #expect(!state.reserveAddress(address, 1))
  }
}
