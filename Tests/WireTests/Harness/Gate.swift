import Foundation

/// Holds threads until it is opened, and gives up by itself so that no thread is left behind.
final class Gate: @unchecked Sendable {
  private let condition = NSCondition()
  private var isOpen = false

  func open() {
    condition.lock()
    isOpen = true
    condition.broadcast()
    condition.unlock()
  }

  func wait() {
    let limit = Date(timeIntervalSinceNow: 30)
    condition.lock()
    while !isOpen, condition.wait(until: limit) {}
    condition.unlock()
  }
}
