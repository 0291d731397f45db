/// How the process ends, after sysexits.h where that has a word for it.
enum ExitCode {
  static let drained: Int32 = 0
  /// A wrong command line; also what the argument parser uses.
  static let usage: Int32 = 64
  /// Port taken, no permission, too few descriptors: trying again at once would not help.
  static let cannotStart: Int32 = 69
  /// The configuration is refused and there is no last good copy.
  static let badConfiguration: Int32 = 78

  /// Ended by a second signal, as a shell reports a process that a signal killed.
  static func cutShort(by signal: Int32) -> Int32 { 128 + signal }

  /// Codes after which a first start is not tried again.
  static func isFinal(_ code: Int32) -> Bool {
    code == usage || code == cannotStart || code == badConfiguration
  }
}
