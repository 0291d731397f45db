internal import CLinux
internal import Glibc

/// Reads the stack of another thread of this process by interrupting it with a signal.
final class StackSampler {
  /// Milliseconds to wait for the thread; one that sleeps in the kernel uninterruptibly never
  /// answers.
  private static let patience = 200

  /// Never freed: the handler may still write after we stopped waiting.
  private let stack: UnsafeMutablePointer<clinux_stack> = {
    let stack = UnsafeMutablePointer<clinux_stack>.allocate(capacity: 1)
    stack.initialize(to: clinux_stack())
    return stack
  }()

  /// Frames from the innermost outward, as symbols where the binary has them.
  func sample(_ thread: Int32) -> [String] {
    guard clinux_sample(thread, stack) == 0 else { return ["thread gone"] }
    for _ in 0..<Self.patience where clinux_stack_count(stack) == 0 { usleep(1_000) }
    let count = min(clinux_stack_count(stack), Int32(CLINUX_STACK_DEPTH))
    guard count > 0 else { return ["thread did not answer"] }
    // The first two are the handler and the kernel's signal frame.
    return (min(2, count)..<count).compactMap { at in
      clinux_stack_address(stack, at).map(Self.symbol)
    }
  }

  private static func symbol(_ address: UnsafeMutableRawPointer) -> String {
    var info = clinux_symbol()
    guard clinux_find_symbol(address, &info) != 0 else { return "\(address)" }
    if let name = info.name, let start = info.address {
      return "\(String(cString: name))+\(address - start)"
    }
    guard let file = info.file, let base = info.base else { return "\(address)" }
    // Offset into the file: what addr2line takes.
    return "\(String(cString: file))+\(address - base)"
  }
}
