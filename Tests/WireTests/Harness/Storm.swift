import Testing
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

/// How often things with a name have come, from any thread.
final class Tally: Sendable {
  private let counts = Locked<[String: Int]>([:])

  /// Counts one more; its number, from 1.
  func next(_ name: String) -> Int {
    counts.withLock { counts in
      counts[name, default: 0] += 1
      return counts[name] ?? 0
    }
  }

  var all: [String: Int] { counts.withLock { $0 } }

  /// Counts the arrival of a request; what decides how it is treated, the same for each seed.
  func arrival(of request: UpstreamRequest, seed: UInt64) -> SplitMix64 {
    let name = UInt64(request.target.dropFirst(3)) ?? 0
    return SplitMix64(seed: seed ^ name &* 1_000 &+ UInt64(next(request.target)))
  }

  /// Of arrivals by target: those at `/o/…`, which may not come again, came once, others at most so often.
  func expectOnce(most: Int, seed: UInt64) {
    let twice = all.filter { $0.key.hasPrefix("/o") && $0.value > 1 }
    #expect(twice.isEmpty, "seed \(seed): \(twice)")
    let often = all.filter { $0.value > most }
    #expect(often.isEmpty, "seed \(seed): \(often)")
  }
}
