public import HTTPCodec

/// Request methods as a set of bits: the known ones by their raw value, then a table's own.
public struct MethodSet: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32

  @inlinable
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The set of one known method; empty for `other`, whose bits are given out by each table.
  @inlinable
  public init(_ method: Method) {
    self.init(rawValue: method == .other ? 0 : 1 << UInt32(method.rawValue))
  }

  /// Every method, also those that no table names.
  static let all = MethodSet(rawValue: .max)

  /// The first bit that a table gives to a method of its own (`PURGE`).
  static let firstOwnBit = Int(Method.other.rawValue)

  /// How many methods beyond the known ones the rules of one table may name.
  ///
  /// The last bit stays free: it stands for methods that no rule names, so that `all` is more than
  /// the sum of all names.
  static let maximumOwn = 31 - firstOwnBit
}

extension MethodSet {
  /// The names, the known methods first; empty for `all`.
  static func names(of methods: MethodSet, own: [String]) -> [String] {
    if methods == .all { return [] }
    let known = Method.allCases.filter { $0 != .other && methods.contains(MethodSet($0)) }
    return known.map { "\($0.name)" }
      + own.enumerated().filter {
        methods.rawValue >> UInt32(firstOwnBit + $0.offset) & 1 != 0
      }.map(\.element)
  }
}
