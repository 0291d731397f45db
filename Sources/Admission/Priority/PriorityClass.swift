/// The place of a request in the order in which load is shed: 0 is shed last.
@frozen
public struct PriorityClass: Hashable, Comparable, Sendable, BitwiseCopyable {
  /// The place, in `0..<PriorityClasses.maximum`; a smaller one is served first.
  public var rawValue: UInt8

  @inlinable
  public init(_ rawValue: UInt8) { self.rawValue = rawValue }

  /// The class that is shed last.
  @inlinable
  public static var highest: PriorityClass { PriorityClass(0) }

  /// Orders by importance: a class is less than those that are shed after it.
  @inlinable
  public static func < (a: PriorityClass, b: PriorityClass) -> Bool { a.rawValue > b.rawValue }
}
