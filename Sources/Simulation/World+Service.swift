internal import Admission

/// The service behind the edges, and what happens at its time.
extension World {
  func startService(_ index: Int) {
    while backends[index].busy < backends[index].places, let request = backends[index].queue.pop() {
      let present = Double(backends[index].busy + backends[index].queue.count) + 1
      let over = max(0, present / Double(max(1, backends[index].places)) - scenario.knee)
      let slowness = min(4, 1 + 0.4 * over)
      backends[index].busy += 1
      events.push(
        Event(
          time: now + requests[request].demand * slowness,
          kind: .serviceDone,
          request: request,
          generation: requests[request].generation
        )
      )
    }
  }

  func handle(_ event: Event) {
    switch event.kind {
    case .bell: return turn(event.request / scenario.workers, event.request % scenario.workers)
    case .call: return arrive(.call)
    default: break
    }
    guard requests[event.request].generation == event.generation else { return }
    switch event.kind {
    case .serviceDone:
      let backend = requests[event.request].backend
      backends[backend].busy -= 1
      var response = event
      response.kind = .response
      response.time = now + network + scenario.delay.at(now)
      events.push(response)
      startService(backend)
    case .response:
      let request = requests[event.request]
      if request.state == .abandoned {
        release(event.request)
        return
      }
      endPermit(event.request, .served)
      succeeded(request)
      release(event.request)
      settle(request.edge, request.worker)
    case .retry: arriveAtEdge(event.request)
    case .bell, .call: break
    }
  }
}
