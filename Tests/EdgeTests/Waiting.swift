import Glibc
import Testing

/// Waits for what another thread does, and fails when it does not within a minute.
func wait(
  _ condition: () -> Bool,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let end = ContinuousClock.now.advanced(by: .seconds(60))
  while !condition() {
    guard ContinuousClock.now < end else {
      Issue.record("waited in vain", sourceLocation: sourceLocation)
      return
    }
    usleep(5_000)
  }
}
