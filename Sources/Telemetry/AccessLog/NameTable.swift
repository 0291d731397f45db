internal import Synchronization
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

/// Names that records carry as numbers.
///
/// What the configuration names stays for good and outlives snapshots. Addresses come from DNS,
/// which may invent them for years: those are leased, and their numbers go to others when their
/// lease has ended and enough numbers have been given back since.
public final class NameTable: Sendable {
  /// Most names at once.
  static let maximumCount = 65_536
  /// Numbers given back later than this one before it is used again: records that carry it are
  /// written within a second, and so many addresses do not leave in one.
  static let quarantine = 1_024

  /// A name in use; the last lease of a name gives its number back.
  public final class Lease: Sendable {
    public let id: NameID
    private let table: NameTable?

    fileprivate init(_ id: NameID, of table: NameTable?) {
      self.id = id
      self.table = table
    }

    deinit { table?.giveBack(id.rawValue) }
  }

  private struct State {
    var names: [String] = []
    var ids: [String: Int32] = [:]
    /// Leases by number; a number without stays or is free.
    var leases: [Int32: Int] = [:]
    /// Free numbers, by when they were given back.
    var free: [Int32: UInt64] = [:]
    /// The same in order, with entries that count no more since the number is in use again.
    var returned: [(id: Int32, time: UInt64)] = []
    var oldest = 0
    /// Counts what is given back.
    var time: UInt64 = 0
    /// Numbers with another name than before, for the writer.
    var changed: Set<Int32> = []
  }

  private let state = Locked(State())
  private let changes = Atomic<Int>(0)
  private let overflows = Atomic<UInt64>(0)

  public init() {}

  /// Times that a name found the table full and was logged as `other`.
  public var overflowed: UInt64 { overflows.load(ordering: .relaxed) }

  /// The number of `name`, the same each time; that of `other` when the table is full.
  public func id(for name: String) -> NameID {
    state.withLock { state in
      let id = place(name, &state)
      // What is named once by the configuration stays, whatever was leased under this name.
      state.leases[id] = nil
      state.free[id] = nil
      return NameID(rawValue: id)
    }
  }

  /// The number of `name` as long as somebody holds a lease on it.
  public func lease(for name: String) -> Lease {
    state.withLock { state in
      let isKnown = state.ids[name].map { state.free[$0] == nil } ?? false
      let id = place(name, &state)
      // The names that stay, `other` among them, need no lease.
      guard state.ids[name] == id, !isKnown || state.leases[id] != nil else {
        return Lease(NameID(rawValue: id), of: nil)
      }
      state.free[id] = nil
      state.leases[id, default: 0] += 1
      return Lease(NameID(rawValue: id), of: self)
    }
  }

  /// Finds a name or gives it a number.
  private func place(_ name: String, _ state: inout State) -> Int32 {
    if let known = state.ids[name] { return known }
    // The last place is for every name that finds no room.
    let isFull = state.names.count >= Self.maximumCount - 1
    if state.free.count > Self.quarantine || isFull, let id = takeOldest(&state) {
      state.ids[state.names[Int(id)]] = nil
      state.names[Int(id)] = name
      state.ids[name] = id
      state.changed.insert(id)
      changes.wrappingAdd(1, ordering: .releasing)
      return id
    }
    if isFull { overflows.wrappingAdd(1, ordering: .relaxed) }
    let stored = isFull ? "other" : name
    if let known = state.ids[stored] { return known }
    let id = Int32(state.names.count)
    state.names.append(stored)
    state.ids[stored] = id
    return id
  }

  /// The number that was given back first and is still free.
  private func takeOldest(_ state: inout State) -> Int32? {
    while state.oldest < state.returned.count {
      let entry = state.returned[state.oldest]
      state.oldest += 1
      guard state.free[entry.id] == entry.time else { continue }
      state.free[entry.id] = nil
      return entry.id
    }
    return nil
  }

  private func giveBack(_ id: Int32) {
    state.withLock { state in
      // A name that stays now has lost its leases.
      guard let count = state.leases[id] else { return }
      guard count == 1 else {
        state.leases[id] = count - 1
        return
      }
      state.leases[id] = nil
      state.time += 1
      state.free[id] = state.time
      state.returned.append((id, state.time))
      // An address that comes and goes would make it grow for ever.
      guard state.returned.count > 2 * state.free.count + Self.quarantine else { return }
      state.returned = state.returned[state.oldest...].filter { state.free[$0.id] == $0.time }
      state.oldest = 0
    }
  }

  // MARK: - The writer

  /// Rises whenever a number gets another name; read for each record, so it takes no lock.
  var revision: Int { changes.load(ordering: .acquiring) }

  /// The entries from `start` on, for a reader that keeps those before.
  func names(from start: Int) -> [String] {
    state.withLock { start < $0.names.count ? Array($0.names[start...]) : [] }
  }

  /// The numbers that have another name than before, for the one reader that keeps names.
  func takeChanges() -> [(id: Int32, name: String)] {
    state.withLock { state in
      defer { state.changed = [] }
      return state.changed.map { ($0, state.names[Int($0)]) }
    }
  }
}
