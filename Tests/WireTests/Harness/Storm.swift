import Units

/// Eight clients at once that each act so often, by chance; what they had to complain of.
func storm(
  seed: UInt64,
  rounds: Int,
  _ act: @escaping @Sendable (inout SplitMix64) throws -> Void
) throws -> [String] {
  let failures = Locked<[String]>([])
  try concurrently(8) { index in
    var random = SplitMix64(seed: seed &+ UInt64(index))
    for _ in 0..<rounds {
      do {
        try act(&random)
      } catch {
        failures.withLock { $0.append("\(error)") }
      }
    }
  }
  return failures.withLock { $0 }
}
