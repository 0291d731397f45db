/// An immutable table of rules, compiled for lookups that allocate nothing.
public final class RouteTable: Sendable {
  /// The rules, in the order given; lookups name them by index.
  public let rules: [RouteRule]

  /// Compiles the rules.
  ///
  /// - Parameters:
  ///   - rules: At most ``maximumRules``.
  ///   - policy: How request paths are normalised; patterns are brought to the same spelling.
  /// - Throws: The first fault that ``faults(in:policy:)`` would name, or the first ambiguous pair.
  public init(rules: [RouteRule], policy: PathPolicy = PathPolicy()) throws(RouteTableError) {
    self.rules = rules
  }

  /// Everything that is wrong with single rules, all at once.
  public static func faults(
    in rules: [RouteRule],
    policy: PathPolicy = PathPolicy()
  ) -> [RouteTableError] {
    []
  }

  /// Ambiguous pairs and shadowed rules; empty while a rule has a fault of its own.
  public static func conflicts(
    in rules: [RouteRule],
    policy: PathPolicy = PathPolicy()
  ) -> [RouteConflict] {
    []
  }

  /// The rule that takes a request.
  public func find(_ request: RouteRequest) -> RouteLookup {
    .notFound
  }

  /// Writes the methods of a set as an `Allow` value (`GET, POST`).
  ///
  /// - Returns: The bytes written, or 0 when they do not fit.
  public func writeAllow(
    _ methods: MethodSet,
    into out: UnsafeMutablePointer<UInt8>,
    capacity: Int
  ) -> Int {
    0
  }

  /// The verdict on every rule, in the order in which they are considered.
  public func explain(_ request: RouteRequest) -> [RouteExplanation] {
    []
  }
}
