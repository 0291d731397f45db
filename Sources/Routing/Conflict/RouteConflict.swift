/// Two rules of which one makes the other doubtful or useless.
public struct RouteConflict: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// One request could take either: nothing in the order of matching decides.
    case ambiguous
    /// The rule can never win: whatever it matches, `other` matches and comes first.
    case shadowed
  }

  public var kind: Kind
  /// Index of the rule to change: the later one of an ambiguous pair, or the shadowed one.
  public var rule: Int
  /// Index of the rule it collides with.
  public var other: Int
  /// A sentence that names both and says why.
  public var explanation: String

  public init(kind: Kind, rule: Int, other: Int, explanation: String) {
    self.kind = kind
    self.rule = rule
    self.other = other
    self.explanation = explanation
  }
}
