import HTTPCodec

#if FUZZER
import FuzzSupport
#endif

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzTrailers(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var section = TrailerSection()
  func parse(_ count: Int) -> ParseOutcome {
    TrailerParser.parse(bytes, count: count, limits: fuzzLimits, fields: fuzzTable, into: &section)
  }
  let outcome = parse(count)
  let length = Int(section.length)
  if outcome == .complete {
    require(length <= min(count, fuzzLimits.maximumBytes), "the section is within its bound")
    requireSound(
      bytes,
      fields: fuzzTable,
      count: Int(section.fieldCount),
      start: 0,
      end: length
    )
  }
  requireMonotonic(count: count, outcome: outcome, length: length, parse: parse)
  return 0
}
