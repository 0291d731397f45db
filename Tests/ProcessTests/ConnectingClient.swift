import Foundation

/// Connects and asks in a loop, remembering everything that was not an answer.
final class ConnectingClient: @unchecked Sendable {
  private let lock = NSLock()
  private var answered = 0
  private var failed: [String] = []
  private var isStopping = false
  private let ended = DispatchSemaphore(value: 0)

  init(port: UInt16) {
    Thread.detachNewThread { [self] in
      while !lock.withLock({ isStopping }) {
        do {
          let answer = try TestSocket.get(port: port)
          lock.withLock {
            if answer.hasPrefix("HTTP/1.1 200") { answered += 1 } else { failed.append(answer) }
          }
        } catch {
          lock.withLock { failed.append("\(error)") }
        }
      }
      ended.signal()
    }
  }

  var answers: Int { lock.withLock { answered } }

  var faults: [String] { lock.withLock { failed } }

  func stop() {
    lock.withLock { isStopping = true }
    ended.wait()
  }
}
