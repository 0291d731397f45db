internal import Edge
internal import Logging
internal import Telemetry
internal import Units

/// What the process asks of a server: the seam between signals and serving.
struct ServerHandle: Sendable {
  /// Binds nothing, serves: returns when every worker accepts.
  var start: @Sendable () throws -> Void
  /// Loads the configuration again and adopts it; logs all faults itself.
  var reload: @Sendable () -> ReloadOutcome
  /// A successor serves: what both would answer for, as the admin port, is the successor's.
  var handOver: @Sendable () -> Void
  /// Readiness fails first, then nothing new is accepted.
  var beginDrain: @Sendable () -> Void
  /// Blocks until all exchanges are over or the drain's deadline passed.
  var waitUntilDrained: @Sendable () -> Bool
  var stop: @Sendable () -> Void
  var reopenLogs: @Sendable () -> Void
  /// Has what limits have learned given away every few seconds, as a descriptor that is closed when
  /// the call returns.
  var handOverLearned: @Sendable (@escaping @Sendable (Int32) -> Bool) -> Void
  var listeningSockets: @Sendable () -> [ListeningSocket]
  /// What watches over the workers, not started yet.
  var makeWatchdog: @Sendable (Logger) -> StallWatchdog
  /// Grace and deadline of the drain together, as the configuration in effect says.
  var drainLimit: @Sendable () -> Nanoseconds
  /// The configuration file and those it names.
  var watchedFiles: [String]
  /// Where the pid file goes when no option names it, as the configuration in effect says; empty
  /// for nowhere.
  var stateDirectory: @Sendable () -> String
}

/// Why serving could not begin, with the exit code that says so.
struct StartFault: Error {
  var code: Int32
  /// One line per fault.
  var lines: [String]
}
