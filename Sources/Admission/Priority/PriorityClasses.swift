/// The names of a process's priority classes, highest first.
///
/// The classes are fixed when the process starts: queues and counters have a place for each, and a
/// request in flight names its class by that place.
public struct PriorityClasses: Equatable, Sendable {
  /// Most classes there can be: the classes waiting with a worker are packed into one word, a byte
  /// each.
  public static let maximum = 8

  /// The four classes of a configuration that names none.
  public static let standard = PriorityClasses(
    unchecked: ["critical", "important", "normal", "best-effort"]
  )

  /// The names, highest first.
  public let names: [String]

  /// How many classes there are, in `1...maximum`.
  public var count: Int { names.count }

  /// The class that is shed first.
  public var lowest: PriorityClass { PriorityClass(UInt8(names.count - 1)) }

  /// Fails when there are too few or too many names, or one is empty or there twice.
  ///
  /// - Parameter names: One to `maximum` names, highest first.
  public init?(names: [String]) {
    guard (1...Self.maximum).contains(names.count), Set(names).count == names.count,
      !names.contains("")
    else { return nil }
    self.names = names
  }

  private init(unchecked names: [String]) { self.names = names }

  /// The class of a name, nothing when there is none.
  public func named(_ name: String) -> PriorityClass? {
    names.firstIndex(of: name).map { PriorityClass(UInt8($0)) }
  }

  /// The class one lower, for a retry: first attempts of the same importance go before it.
  public func lowered(_ priority: PriorityClass) -> PriorityClass {
    PriorityClass(UInt8(min(Int(priority.rawValue) + 1, names.count - 1)))
  }

  /// The class itself, or the lowest there is when it lies beyond.
  public func clamped(_ priority: PriorityClass) -> PriorityClass {
    PriorityClass(UInt8(min(Int(priority.rawValue), names.count - 1)))
  }
}
