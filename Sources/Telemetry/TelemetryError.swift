/// Why telemetry could not start or go on.
public struct TelemetryError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable {
    /// A file or socket could not be opened.
    case cannotOpen
    /// The system has no room for a thread.
    case cannotStartThread
    /// An address could not be parsed or bound.
    case cannotBind
  }

  public let code: Code
  /// What was tried and what the system said.
  public let description: String

  public init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
