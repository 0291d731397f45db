import Foundation
import LoadEngine
import LoadKit
import Reactor
import Units

/// A simulated service on a thread of its own, for the length of a test.
final class RunningBackend: @unchecked Sendable {
  // Safe to share: `backend` is set once, before the thread that waits for it goes on.
  private(set) var backend: Backend?
  private var failure: (any Error)?
  private let started = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)

  init(_ kind: Reactor.Backend, _ change: (inout ServiceSettings) -> Void = { _ in }) throws {
    var settings = ServiceSettings()
    settings.serviceTime = .constant(.milliseconds(1))
    change(&settings)
    let final = settings
    Thread.detachNewThread { [self] in
      do {
        var options = Backend.Options()
        options.backend = kind
        options.connections = 1_024
        let backend = try Backend(final, options)
        self.backend = backend
        started.signal()
        backend.run()
      } catch {
        failure = error
        started.signal()
      }
      ended.signal()
    }
    started.wait()
    if let failure { throw failure }
  }

  var port: UInt16 { backend?.port ?? 0 }
  var controlPort: UInt16 { backend?.controlPort ?? 0 }

  func stop() {
    backend?.stop()
    ended.wait()
  }

  /// A counter or gauge of the service, as it tells it.
  func stat(_ name: String) -> Double? {
    guard let answer = RawSocket.request("GET /stats", port: controlPort),
      let range = answer.range(of: "\"\(name)\": ")
    else { return nil }
    return Double(answer[range.upperBound...].prefix { "0123456789.".contains($0) })
  }

  /// Asks again and again, with pauses that leave the machine its ports; false after a minute.
  func waits(for name: String, toBe value: Double) -> Bool {
    for _ in 0..<6_000 {
      if stat(name) == value { return true }
      Thread.sleep(forTimeInterval: 0.01)
    }
    return false
  }

  func post(_ target: String) -> String {
    RawSocket.request("POST \(target)", port: controlPort) ?? ""
  }
}
