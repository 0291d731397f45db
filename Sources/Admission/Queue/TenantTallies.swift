internal import Glibc
internal import Units

/// How much each tenant has queued in each class, and which has most, in constant time.
///
/// A record exists while a tenant has something queued, so there are never more than entries. Records
/// are found through a table of open addressing, and hang in buckets by their tally: exact below 16,
/// then eight buckets to an octave, so that "most" is true within an eighth. The highest bucket in use
/// is a bit scan.
struct TenantTallies: ~Copyable {
  struct Record: BitwiseCopyable {
    var tenant: UInt64
    var tally: Int
    var first: Int32
    var last: Int32
    var bucketNext: Int32
    var bucketPrevious: Int32
    var bucket: Int32
    var priority: UInt8
  }

  static let buckets = 192
  private static let words = buckets / 64

  let records: UnsafeMutablePointer<Record>
  private let table: UnsafeMutablePointer<Int32>
  private let mask: Int
  private let heads: UnsafeMutablePointer<Int32>
  private let used: UnsafeMutablePointer<UInt64>
  private let seed: UInt64
  private var freeHead: Int32 = -1
  private var touched: Int32 = 0

  init(capacity: Int, classes: Int, seed: UInt64) {
    records = zeroedMemory(Record.self, capacity)
    var size = 4
    while size < 2 * capacity { size *= 2 }
    // A place holds a record's index plus one, so that zeroed memory is an empty table.
    table = zeroedMemory(Int32.self, size)
    mask = size - 1
    heads = zeroedMemory(Int32.self, classes * Self.buckets)
    used = zeroedMemory(UInt64.self, classes * Self.words)
    self.seed = seed
  }

  deinit {
    free(records)
    free(table)
    free(heads)
    free(used)
  }

  /// The bucket of a tally of 1 or more.
  static func bucket(_ tally: Int) -> Int {
    guard tally >= 16 else { return max(tally, 0) }
    let exponent = Int.bitWidth - 1 - tally.leadingZeroBitCount
    return min(16 + (exponent - 4) * 8 + ((tally >> (exponent - 3)) & 7), buckets - 1)
  }

  /// The record of a tenant; -1 when it has nothing queued in the class.
  func find(_ tenant: UInt64, _ priority: UInt8) -> Int32 {
    var place = home(tenant, priority)
    while table[place] != 0 {
      let index = table[place] - 1
      if records[Int(index)].tenant == tenant, records[Int(index)].priority == priority {
        return index
      }
      place = (place + 1) & mask
    }
    return -1
  }

  /// Makes a record for a tenant that has none.
  mutating func make(_ tenant: UInt64, _ priority: UInt8) -> Int32 {
    var index = freeHead
    if index >= 0 {
      freeHead = records[Int(index)].bucketNext
    } else {
      index = touched
      touched += 1
    }
    records[Int(index)] = Record(
      tenant: tenant,
      tally: 0,
      first: -1,
      last: -1,
      bucketNext: -1,
      bucketPrevious: -1,
      bucket: -1,
      priority: priority
    )
    var place = home(tenant, priority)
    while table[place] != 0 { place = (place + 1) & mask }
    table[place] = index + 1
    return index
  }

  /// Changes a tally and the bucket it hangs in; at zero the record is gone.
  mutating func change(_ index: Int32, by cost: Int) {
    let record = records + Int(index)
    record.pointee.tally = max(record.pointee.tally &+ cost, 0)
    let isGone = record.pointee.first < 0
    let bucket = isGone ? -1 : Int32(Self.bucket(max(record.pointee.tally, 1)))
    if bucket != record.pointee.bucket {
      leaveBucket(record)
      if bucket >= 0 { enterBucket(record, index, bucket) }
    }
    if isGone { remove(index) }
  }

  /// The tenant with most queued in a class; -1 when nothing is.
  func heaviest(_ priority: UInt8) -> Int32 {
    let words = used + Int(priority) * Self.words
    var word = Self.words - 1
    while word >= 0 {
      if words[word] != 0 {
        let bucket = word * 64 + 63 - words[word].leadingZeroBitCount
        return heads[Int(priority) * Self.buckets + bucket] - 1
      }
      word -= 1
    }
    return -1
  }

  private func home(_ tenant: UInt64, _ priority: UInt8) -> Int {
    var hash = tenant ^ seed &+ UInt64(priority) &* 0x9E37_79B9_7F4A_7C15
    hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
    hash = (hash ^ (hash >> 29)) &* 0x9FB2_1C65_1E98_DF25
    return Int(truncatingIfNeeded: hash ^ (hash >> 32)) & mask
  }

  /// Frees a record and closes its gap in the table, so that no probe ends too early.
  private mutating func remove(_ index: Int32) {
    let record = records[Int(index)]
    var hole = home(record.tenant, record.priority)
    while table[hole] != index + 1 { hole = (hole + 1) & mask }
    var place = (hole + 1) & mask
    while table[place] != 0 {
      let other = records[Int(table[place] - 1)]
      let distance = (place &- home(other.tenant, other.priority)) & mask
      if distance >= (place &- hole) & mask {
        table[hole] = table[place]
        hole = place
      }
      place = (place + 1) & mask
    }
    table[hole] = 0
    records[Int(index)].bucketNext = freeHead
    freeHead = index
  }

  private func leaveBucket(_ record: UnsafeMutablePointer<Record>) {
    guard record.pointee.bucket >= 0 else { return }
    let priority = Int(record.pointee.priority)
    let bucket = Int(record.pointee.bucket)
    if record.pointee.bucketNext >= 0 {
      records[Int(record.pointee.bucketNext)].bucketPrevious = record.pointee.bucketPrevious
    }
    if record.pointee.bucketPrevious >= 0 {
      records[Int(record.pointee.bucketPrevious)].bucketNext = record.pointee.bucketNext
    } else {
      heads[priority * Self.buckets + bucket] = record.pointee.bucketNext + 1
      if record.pointee.bucketNext < 0 {
        used[priority * Self.words + bucket / 64] &= ~(1 << UInt64(bucket % 64))
      }
    }
    record.pointee.bucket = -1
  }

  private func enterBucket(
    _ record: UnsafeMutablePointer<Record>,
    _ index: Int32,
    _ bucket: Int32
  ) {
    let priority = Int(record.pointee.priority)
    let head = heads + priority * Self.buckets + Int(bucket)
    record.pointee.bucket = bucket
    record.pointee.bucketPrevious = -1
    record.pointee.bucketNext = head.pointee - 1
    if head.pointee > 0 { records[Int(head.pointee - 1)].bucketPrevious = index }
    head.pointee = index + 1
    used[priority * Self.words + Int(bucket) / 64] |= 1 << UInt64(bucket % 64)
  }
}
