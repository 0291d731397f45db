public import HTTPCodec

#if !FUZZER
import Testing
#endif

/// Stops the run, so that libFuzzer keeps the input; where the corpus is replayed the test fails.
@inline(never)
public func require(_ claim: Bool, _ what: StaticString) {
  guard !claim else { return }
  #if FUZZER
  fatalError("broken: \(what)")
  #else
  Issue.record("broken: \(what)")
  #endif
}

/// The bounds used while fuzzing: small, so that inputs reach them.
public let fuzzLimits = HeadLimits(maximumBytes: 2_048, maximumFields: 12, maximumTarget: 256)

/// Room for one field table, kept between runs.
public nonisolated(unsafe) let fuzzTable = UnsafeMutablePointer<HeadField>.allocate(
  capacity: fuzzLimits.maximumFields
)

/// Checks that fields lie in order inside `start..<end` and hold what the grammar allows.
public func requireSound(
  _ bytes: UnsafePointer<UInt8>,
  fields: UnsafePointer<HeadField>,
  count: Int,
  start: Int,
  end: Int
) {
  require(count <= fuzzLimits.maximumFields, "the field count is within its bound")
  var position = start
  for index in 0..<count {
    let field = fields[index]
    let nameEnd = Int(field.nameStart) + Int(field.nameLength)
    let valueEnd = Int(field.valueStart) + Int(field.valueLength)
    require(Int(field.nameStart) == position && field.nameLength > 0, "a name starts its line")
    require(Int(field.valueStart) > nameEnd, "a colon stands between name and value")
    require(valueEnd + 2 <= end, "a value ends inside the head")
    require(bytes[nameEnd] == 0x3A, "a name ends at its colon")
    for offset in Int(field.nameStart)..<nameEnd {
      require(bytes[offset] > 0x20 && bytes[offset] < 0x7F, "a name is visible ASCII")
    }
    for offset in Int(field.valueStart)..<valueEnd {
      require(bytes[offset] >= 0x20 || bytes[offset] == 0x09, "a value has no control character")
    }
    position = valueEnd
    while position < end, bytes[position] != 0x0A { position += 1 }
    position += 1
  }
  require(position + 2 == end, "the empty line follows the last field")
  require(bytes[end - 2] == 0x0D && bytes[end - 1] == 0x0A, "the head ends in CRLF")
}

/// Checks that shorter and longer inputs get answers that fit the one for the whole.
///
/// `length` is the message's, when complete. The cuts are those that the input itself picks.
public func requireMonotonic(
  count: Int,
  outcome: ParseOutcome,
  length: Int,
  parse: (Int) -> ParseOutcome
) {
  var cut = count - 1
  var step = 1
  while cut >= 0 {
    let shorter = parse(cut)
    switch outcome {
    case .incomplete: require(shorter == .incomplete, "a prefix of a prefix is incomplete")
    case .complete:
      require(shorter == (cut < length ? .incomplete : .complete), "complete at one length only")
    case .refused:
      require(shorter == .incomplete || shorter == outcome, "a refusal never changes")
    }
    cut -= step
    // Every cut near the end, then ever fewer: a run stays linear enough to be fast.
    if count - cut > 48 { step += 7 }
  }
}
