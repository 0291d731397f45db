/// Collects the edges of an ``EdgeMap``.
struct EdgeMapBuilder {
  private struct Key: Hashable {
    var parent: Int32
    var bytes: [UInt8]
  }

  /// The parent of each child.
  private(set) var parents: [Int32: Int32] = [:]
  private var children: [Key: Int32] = [:]
  private var slots: [EdgeMap.Slot] = []

  /// The child at the end of an edge that exists already.
  func child(of parent: Int32, _ start: Int32, _ length: Int32, _ text: [UInt8]) -> Int32? {
    children[Key(parent: parent, bytes: Array(text[Int(start)..<Int(start + length)]))]
  }

  /// Adds an edge; with `text`, `child(of:)` will find it.
  mutating func add(
    parent: Int32,
    start: Int32,
    length: Int32,
    child: Int32,
    _ text: [UInt8]? = nil
  ) {
    parents[child] = parent
    if let text {
      children[Key(parent: parent, bytes: Array(text[Int(start)..<Int(start + length)]))] = child
    }
    slots.append(EdgeMap.Slot(child: child, parent: parent, start: start, length: length))
  }

  /// Lays the edges out at half load or less.
  func map(_ text: [UInt8]) -> EdgeMap {
    var capacity = 4
    while capacity < slots.count * 2 { capacity *= 2 }
    let mask = UInt32(capacity - 1)
    var table = [EdgeMap.Slot](repeating: EdgeMap.Slot(), count: capacity)
    (text + [0]).withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      for var slot in slots {
        slot.hash = Bytes.hash(
          base + Int(slot.start),
          Int(slot.length),
          seed: slot.parent,
          ignoringCase: false
        )
        var index = slot.hash & mask
        while table[Int(index)].child >= 0 { index = (index &+ 1) & mask }
        table[Int(index)] = slot
      }
    }
    return EdgeMap(slots: copy(table), mask: mask)
  }
}
