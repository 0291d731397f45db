/// Why the edge cannot start, or cannot take a configuration.
public struct EdgeError: Error, CustomStringConvertible {
  public enum Code: Sendable {
    /// An address cannot be listened on.
    case listen
    /// The kernel refuses the event loop, a thread or a descriptor.
    case resources
    /// The configuration asks for more than a bound of the process.
    case bound
    /// Certificates or keys cannot be used.
    case certificates
  }

  public let code: Code
  /// What an operator reads: what is wrong and what would be right.
  public let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
