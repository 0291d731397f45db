internal import Telemetry

/// The names of the priority classes as plain memory, for heads that are read and written.
///
/// Whoever made it frees it; a snapshot does so with those it was made with.
struct ClassNames: BitwiseCopyable, @unchecked Sendable {
  // The memory is not written after init, which is what makes it sendable.
  let count: Int
  private let memory: UnsafeMutablePointer<UInt8>
  private let ends: UnsafeMutablePointer<Int>
  private let ids: UnsafeMutablePointer<NameID>
  /// The field by which a class is named, in lower case.
  let field: (start: UnsafePointer<UInt8>, count: Int)
  /// Whether trusted peers may name one.
  let isBelieved: Bool

  /// - Parameters:
  ///   - names: Highest first, at least one.
  ///   - ids: What the access log knows them by, in the same order; none where there is no log.
  ///   - field: The field by which callers name one, and services are told it.
  ///   - isBelieved: Whether the word of trusted peers counts.
  init(
    _ names: [String],
    ids: [NameID] = [],
    field: String = "x-criticality",
    isBelieved: Bool = true
  ) {
    count = names.count
    self.isBelieved = isBelieved
    let text = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, field.utf8.count))
    text.initialize(from: Array(field.utf8), count: field.utf8.count)
    self.field = (UnsafePointer(text), field.utf8.count)
    self.ids = .allocate(capacity: names.count)
    self.ids.initialize(repeating: .none, count: names.count)
    for (index, id) in ids.prefix(names.count).enumerated() { self.ids[index] = id }
    let bytes = names.flatMap { Array($0.utf8) }
    memory = .allocate(capacity: max(1, bytes.count))
    memory.initialize(from: bytes, count: bytes.count)
    ends = .allocate(capacity: names.count + 1)
    ends.initialize(repeating: 0, count: names.count + 1)
    for (index, name) in names.enumerated() { ends[index + 1] = ends[index] + name.utf8.count }
  }

  /// Nobody may use a copy any more.
  func deallocate() {
    memory.deallocate()
    ends.deallocate()
    ids.deallocate()
    field.start.deallocate()
  }

  /// The bytes of a class's name.
  func name(_ place: Int) -> (start: UnsafePointer<UInt8>, count: Int) {
    let place = min(max(place, 0), count - 1)
    return (UnsafePointer(memory + ends[place]), ends[place + 1] - ends[place])
  }

  /// What the access log knows a class by.
  func id(_ place: Int) -> NameID { ids[min(max(place, 0), count - 1)] }

  /// The class that a caller names, or -1.
  ///
  /// The names of "Site Reliability Engineering" (chapter 21) stand for the four classes of the
  /// default where no class of ours is called so.
  func place(_ value: UnsafePointer<UInt8>, _ length: Int) -> Int {
    for place in 0..<count {
      let own = name(place)
      if own.count == length, FieldName.equals(value, own.start, length) { return place }
    }
    guard count == 4 else { return -1 }
    if FieldName.matches(value, length, "critical-plus") { return 0 }
    if FieldName.matches(value, length, "critical") { return 1 }
    if FieldName.matches(value, length, "sheddable-plus") { return 2 }
    return FieldName.matches(value, length, "sheddable") ? 3 : -1
  }
}

/// Names in heads, compared without regard to case.
enum FieldName {
  static func matches(
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    _ expected: StaticString
  ) -> Bool {
    expected.utf8CodeUnitCount == count && equals(bytes, expected.utf8Start, count)
  }

  static func equals(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    for index in 0..<count where lower(a[index]) != lower(b[index]) { return false }
    return true
  }

  private static func lower(_ byte: UInt8) -> UInt8 {
    byte >= 65 && byte <= 90 ? byte | 0x20 : byte
  }
}
