internal import Dispatch
internal import Glibc

/// Ctrl-C and SIGTERM end a run with a report in place of nothing; a second one ends the process.
enum Interrupt {
  static func install(_ action: @escaping @Sendable () -> Void) {
    for number in [SIGINT, SIGTERM] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        signal(number, SIG_DFL)
        action()
      }
      source.resume()
      sources.append(source)
    }
  }

  // Written before other threads exist, and kept for the life of the process.
  nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []
}
