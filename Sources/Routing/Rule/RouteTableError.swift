/// A rule that cannot stand in a table, or two that cannot stand beside each other.
///
/// The operator is at fault, never a peer; trying again does not help.
public struct RouteTableError: Error, Hashable, Sendable {
  /// The part of the rule that is wrong.
  public enum Part: String, Hashable, Sendable {
    case rule
    case host
    case path
    case pathPrefix
    case pathRegex
    case methods
    case headers
    case query
  }

  /// Index of the rule.
  public var rule: Int
  /// Index of the other rule, when two are in each other's way.
  public var other: Int?
  public var part: Part
  /// Index in `methods`, `headers` or `query`.
  public var item: Int?
  /// Column in the pattern's text, from 1.
  public var column: Int?
  /// What is wrong and what would be right.
  public var message: String

  public init(
    rule: Int,
    other: Int? = nil,
    part: Part,
    item: Int? = nil,
    column: Int? = nil,
    message: String
  ) {
    self.rule = rule
    self.other = other
    self.part = part
    self.item = item
    self.column = column
    self.message = message
  }
}
