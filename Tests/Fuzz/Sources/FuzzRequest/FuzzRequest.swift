import HTTPCodec

#if FUZZER
import FuzzSupport
#endif

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzRequest(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var head = RequestHead()
  func parse(_ count: Int) -> ParseOutcome {
    RequestParser.parse(bytes, count: count, limits: fuzzLimits, fields: fuzzTable, into: &head)
  }
  let outcome = parse(count)
  if outcome == .complete {
    let length = Int(head.headLength)
    require(length <= min(count, fuzzLimits.maximumBytes), "the head is within its bound")
    requireSound(
      bytes,
      fields: fuzzTable,
      count: Int(head.fieldCount),
      start: Int(head.fieldsStart),
      end: length
    )
    let targetEnd = Int(head.targetStart) + Int(head.targetLength)
    require(targetEnd < Int(head.fieldsStart), "the target lies in the request line")
    require(head.targetLength <= fuzzLimits.maximumTarget, "the target is within its bound")
    require(Int(head.pathStart) + Int(head.pathLength) <= targetEnd, "the path is in the target")
    require(Int(head.queryStart) + Int(head.queryLength) <= targetEnd, "the query is as well")
    require(head.hostLength <= head.authorityLength, "the host is in the authority")
    require(
      Int(head.authorityStart) + Int(head.authorityLength) < length,
      "the authority is in the head"
    )
    require(head.minorVersion == 0 || head.authorityLength > 0, "HTTP/1.1 has an authority")
    require((-1...65_535).contains(head.port), "the port is in range")
    require(!head.isChunked || head.contentLength == -1, "the body has one framing")
    require(head.contentLength >= -1, "the length is not negative")
  }
  let length = Int(head.headLength)
  requireMonotonic(count: count, outcome: outcome, length: length, parse: parse)
  return 0
}
