import Foundation

/// Runs `work` on `count` threads while `body` runs here, and waits for all of them.
///
/// Threads, not tasks: the work blocks.
func concurrently(
  _ count: Int,
  _ work: @escaping @Sendable (Int) -> Void,
  while body: () throws -> Void = {}
) throws {
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    Thread.detachNewThread {
      work(index)
      group.leave()
    }
  }
  defer { group.wait() }
  try body()
}
