/// Why the harness cannot start; for the user to read.
public struct EngineError: Error, CustomStringConvertible, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }
}
