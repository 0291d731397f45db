internal import Units

/// Names one entry of a `NameTable`.
public struct NameID: Hashable, Sendable, BitwiseCopyable {
  public var rawValue: Int32

  @inlinable
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// No name; written as null.
  @inlinable
  public static var none: NameID { NameID(rawValue: -1) }
}

/// Names that records carry as numbers; entries are never removed, so they outlive snapshots.
public final class NameTable: Sendable {
  /// Most names: endpoints come from DNS, which may invent them for years.
  static let maximumCount = 65_536

  private struct State {
    var names: [String] = []
    var ids: [String: Int32] = [:]
  }

  private let state = Locked(State())

  public init() {}

  /// The number of `name`, the same each time; `other` when the table is full.
  public func id(for name: String) -> NameID {
    state.withLock { state in
      if let known = state.ids[name] { return NameID(rawValue: known) }
      // The last place is for every name that finds no room.
      let stored = state.names.count < Self.maximumCount - 1 ? name : "other"
      if let known = state.ids[stored] { return NameID(rawValue: known) }
      let id = Int32(state.names.count)
      state.names.append(stored)
      state.ids[stored] = id
      return NameID(rawValue: id)
    }
  }

  /// The entries from `start` on, for a reader that keeps those before.
  func names(from start: Int) -> [String] {
    state.withLock { start < $0.names.count ? Array($0.names[start...]) : [] }
  }
}
