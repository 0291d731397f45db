internal import Foundation

/// How busy the whole machine was: a run on a machine that is full measures the machine.
struct MachineLoad {
  private var busy: Double
  private var total: Double

  /// Reads the counters of now (proc(5), `/proc/stat`); all zero where they cannot be read.
  init() {
    busy = 0
    total = 0
    guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
      let line = text.split(separator: "\n").first, line.hasPrefix("cpu ")
    else { return }
    let numbers = line.split(separator: " ").dropFirst().compactMap { Double($0) }
    guard numbers.count >= 8 else { return }
    total = numbers[..<8].reduce(0, +)
    // Idle and waiting for a disk.
    busy = total - numbers[3] - numbers[4]
  }

  /// The share of all processors that was busy since, in `0...1`.
  func share(since start: MachineLoad) -> Double {
    total > start.total ? (busy - start.busy) / (total - start.total) : 0
  }
}
