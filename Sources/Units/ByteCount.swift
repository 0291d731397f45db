/// A number of bytes.
public struct ByteCount: Hashable, Comparable, Sendable {
  public var rawValue: Int

  @inlinable
  public init(_ rawValue: Int) { self.rawValue = rawValue }

  @inlinable
  public static func kibibytes(_ count: Int) -> ByteCount { ByteCount(count << 10) }

  @inlinable
  public static func mebibytes(_ count: Int) -> ByteCount { ByteCount(count << 20) }

  @inlinable
  public static func < (a: ByteCount, b: ByteCount) -> Bool { a.rawValue < b.rawValue }
}
