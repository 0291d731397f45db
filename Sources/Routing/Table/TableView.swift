import HTTPCodec

/// A run of candidates that share host and path, the most specific first.
struct CandidateList {
  var start: Int32 = 0
  var count: Int32 = 0
}

/// A rule as the lookup sees it, once host and path are found.
struct Candidate {
  var methods: UInt32
  var rule: Int32
  /// Index of its pattern, or -1.
  var pattern: Int32
  /// Index of its first condition: headers, then query.
  var conditions: Int32
  var headerCount: UInt16
  var queryCount: UInt16
}

/// A header or query condition; text by offset, `valueLength` -1 when presence is enough.
struct Condition {
  var known: KnownField
  var nameStart: Int32
  var nameLength: Int32
  var valueStart: Int32
  var valueLength: Int32
}

/// The paths of one host pattern.
struct HostGroup {
  var root: Int32
  var patterns: CandidateList
  var any: CandidateList
}

/// A path from the root of its host, segment by segment.
struct PathNode {
  var exact = CandidateList()
  var prefix = CandidateList()
  /// The nearest node above with rules for a prefix, or -1.
  var shorter: Int32 = -1
  var childCount: Int32 = 0
}

/// A wildcard's suffix, label by label from the right.
struct LabelNode {
  /// The group of `*.` before this suffix, or -1.
  var group: Int32 = -1
  /// The nearest shorter suffix with a group, or -1.
  var shorter: Int32 = -1
  var childCount: Int32 = 0
}

/// An open-addressing map from a parent and a byte string to a child.
struct EdgeMap {
  struct Slot {
    /// -1 when the slot is empty.
    var child: Int32 = -1
    var parent: Int32 = 0
    var hash: UInt32 = 0
    var start: Int32 = 0
    var length: Int32 = 0
  }

  var slots: UnsafePointer<Slot>
  /// Capacity less one; the capacity is a power of two, at least twice the entries.
  var mask: UInt32

  @inline(__always)
  func child(
    of parent: Int32,
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    text: UnsafePointer<UInt8>,
    ignoringCase: Bool
  ) -> Int32 {
    let hash = Bytes.hash(bytes, count, seed: parent, ignoringCase: ignoringCase)
    var index = hash & mask
    while true {
      let slot = slots + Int(index)
      if slot.pointee.child < 0 { return -1 }
      if slot.pointee.hash == hash, slot.pointee.parent == parent,
        Int(slot.pointee.length) == count,
        Bytes.equal(bytes, text + Int(slot.pointee.start), count, ignoringCase: ignoringCase)
      {
        return slot.pointee.child
      }
      index = (index &+ 1) & mask
    }
  }
}

/// The whole table as plain pointers into memory that its ``RouteTable`` owns.
struct TableView: @unchecked Sendable {
  var text: UnsafePointer<UInt8>
  var candidates: UnsafePointer<Candidate>
  var conditions: UnsafePointer<Condition>
  var patterns: UnsafePointer<RegexView>
  var groups: UnsafePointer<HostGroup>
  var pathNodes: UnsafePointer<PathNode>
  var pathEdges: EdgeMap
  /// Whole hosts in lower case, to groups.
  var hosts: EdgeMap
  var labelNodes: UnsafePointer<LabelNode>
  var labelEdges: EdgeMap
  var hasHosts: Bool
  var hasWildcards: Bool
  /// The group of rules for any host, or -1.
  var anyGroup: Int32
  /// Names of methods beyond the known ones, as offset and length into `text`.
  var ownMethods: UnsafePointer<(Int32, Int32)>
  var ownMethodCount: Int

  func deallocate() {
    text.deallocate()
    candidates.deallocate()
    conditions.deallocate()
    patterns.deallocate()
    groups.deallocate()
    pathNodes.deallocate()
    pathEdges.slots.deallocate()
    hosts.slots.deallocate()
    labelNodes.deallocate()
    labelEdges.slots.deallocate()
    ownMethods.deallocate()
  }
}
