/// Bytes that were received and not used yet: a stretch of a block, and more behind it.
///
/// Nearly always there is one stretch or none. More pile up only where reading was paused and the
/// kernel still handed over what it had, or where a head is split between two receives.
struct Input: BitwiseCopyable {
  var block: Int32 = -1
  var start: Int32 = 0
  var end: Int32 = 0
  var more = StretchQueue()

  var isEmpty: Bool { block < 0 }
  /// Bytes in the first stretch.
  var count: Int { Int(end - start) }
  var total: Int { count + Int(more.bytes) }
}
