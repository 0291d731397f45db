import Telemetry
import Testing
import Units

/// Services that a test answers for, call by call.
final class FakeServiceCaller: ServiceCaller {
  /// One call; the test says what becomes of it, the thread that began it hears of that.
  final class Call: ServiceCall, Sendable {
    let request: ServiceRequest
    private let bell = Doorbell()
    private let queue = Locked<[ServiceEvent]>([])
    private let cancelled = Locked(false)

    init(_ request: ServiceRequest) { self.request = request }

    var descriptor: Int32 { bell.descriptor }
    // As `POLLIN` is.
    var events: Int16 { 1 }
    var isCancelled: Bool { cancelled.withLock { $0 } }

    func advance() -> [ServiceEvent] {
      bell.answer()
      return queue.withLock { queue in
        defer { queue = [] }
        return queue
      }
    }

    func cancel() { cancelled.withLock { $0 = true } }

    func say(_ events: ServiceEvent...) {
      queue.withLock { $0 += events }
      bell.wake()
    }

    /// A whole answer.
    func answer(_ text: String, status: Int = 200, fields: [ServiceField] = []) {
      say(.head(status: status, fields: fields), .body(Array(text.utf8)), .end)
    }
  }

  private let begun = Locked<[Call]>([])

  var calls: [Call] { begun.withLock { $0 } }

  func begin(_ request: ServiceRequest) -> any ServiceCall {
    let call = Call(request)
    begun.withLock { $0.append(call) }
    return call
  }

  /// The call of this number, once it was begun.
  func call(_ number: Int) -> Call {
    wait { calls.count > number }
    return calls[number]
  }
}
