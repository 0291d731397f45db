/// What a parser says about the bytes it has been shown.
///
/// The answer depends on the bytes only, never on how they were cut: once a prefix is refused,
/// every longer input is refused for the same reason, and a complete head stays complete.
public enum ParseOutcome: Equatable, Sendable {
  /// Everything so far is valid, and more must come.
  case incomplete
  /// A whole head or section; its length is in the result.
  case complete
  /// The bytes can never become valid.
  case refused(ParseFault)
}
