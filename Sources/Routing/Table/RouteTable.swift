/// An immutable table of rules, compiled for lookups that allocate nothing.
///
/// The most specific rule that holds in full wins: an exact host before the longest wildcard before
/// any host; then an exact path before the longest prefix before a pattern before any path; then a
/// rule that names methods, more header conditions, more query conditions, and the higher priority.
/// A rule that fails on method, header or query leaves the request to less specific ones.
///
/// A lookup hashes each label and segment once, so it is linear in the request and does not depend
/// on how many hosts and paths there are. Rules of one host and path, and patterns of one host, are
/// tried one by one, which is why there is a bound on them.
public final class RouteTable: Sendable {
  /// Most rules in a table.
  public static let maximumRules = 65_536
  /// Most rules with one host and path, and most patterns of one host.
  public static let maximumRulesPerPlace = 256
  /// Most header conditions, and most query conditions, of one rule.
  public static let maximumConditions = 32

  /// Longest name of a method that rules may name.
  public static let maximumMethodBytes = 32
  /// Room that every Allow value fits: each known method and each that the rules may add.
  public static let maximumAllowBytes = 32 * (maximumMethodBytes + 2)

  /// The rules, in the order given; lookups name them by index.
  public let rules: [RouteRule]

  let compiled: [CompiledRule]
  private let view: TableView
  private let ownMethods: [String]

  /// Compiles the rules.
  ///
  /// - Parameters:
  ///   - rules: At most ``maximumRules``.
  ///   - policy: How request paths are normalised; patterns are brought to the same spelling.
  /// - Throws: The first fault that ``faults(in:policy:)`` would name, or the first ambiguous pair.
  public init(rules: [RouteRule], policy: PathPolicy = PathPolicy()) throws(RouteTableError) {
    let compiler = RuleCompiler(rules, policy: policy)
    if let fault = compiler.faults.first { throw fault }
    let conflicts = ConflictFinder.conflicts(in: compiler.compiled)
    if let conflict = conflicts.first(where: { $0.kind == .ambiguous }) {
      throw RouteTableError(
        rule: conflict.rule,
        other: conflict.other,
        part: .rule,
        message: conflict.explanation
      )
    }
    self.rules = rules
    compiled = compiler.compiled
    ownMethods = compiler.ownMethods
    view = TableBuilder.view(of: compiler.compiled, ownMethods: compiler.ownMethods)
  }

  deinit { view.deallocate() }

  /// Everything that is wrong with single rules, all at once.
  public static func faults(
    in rules: [RouteRule],
    policy: PathPolicy = PathPolicy()
  ) -> [RouteTableError] {
    RuleCompiler(rules, policy: policy).faults
  }

  /// Ambiguous pairs and shadowed rules, among the rules that have no fault of their own.
  ///
  /// Each rule is named once as the one to change, so there are at most as many as rules.
  public static func conflicts(
    in rules: [RouteRule],
    policy: PathPolicy = PathPolicy()
  ) -> [RouteConflict] {
    ConflictFinder.conflicts(in: RuleCompiler(rules, policy: policy).compiled)
  }

  /// The rule that takes a request; allocates nothing and takes no locks.
  public func find(_ request: RouteRequest) -> RouteLookup { view.find(request) }

  /// What lookups need of the table, without a reference to be counted.
  public var finder: RouteFinder { RouteFinder(view: view) }

  /// Writes the methods of a set as an `Allow` value (`GET, POST`), which allocates nothing.
  ///
  /// - Parameters:
  ///   - methods: As this table's lookup gave them.
  ///   - out: Where the value goes.
  ///   - capacity: Room at `out` in bytes.
  /// - Returns: The bytes written, or 0 when they do not fit.
  public func writeAllow(
    _ methods: MethodSet,
    into out: UnsafeMutablePointer<UInt8>,
    capacity: Int
  ) -> Int {
    guard methods != .all else { return 0 }
    var count = 0
    for bit in 0..<(MethodSet.firstOwnBit + view.ownMethodCount)
    where methods.rawValue >> UInt32(bit) & 1 != 0 {
      let (name, length) = view.methodName(bit)
      guard count + length + 2 <= capacity || (count == 0 && length <= capacity) else { return 0 }
      if count > 0 {
        out[count] = UInt8(ascii: ",")
        out[count + 1] = UInt8(ascii: " ")
        count += 2
      }
      (out + count).update(from: name, count: length)
      count += length
    }
    return count
  }

  /// The methods of a set that this table's lookup gave, by name.
  public func names(of methods: MethodSet) -> [String] {
    MethodSet.names(of: methods, own: ownMethods)
  }

  /// Whether the rule takes the request's method.
  func takesMethod(_ rule: CompiledRule, _ request: RouteRequest) -> Bool {
    rule.methods.rawValue & view.methodBit(request) != 0
  }
}
