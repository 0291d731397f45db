import HTTPCodec

#if FUZZER
import FuzzSupport
#endif

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzResponse(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  for method in [Method.get, .head, .connect] {
    var head = ResponseHead()
    func parse(_ count: Int) -> ParseOutcome {
      ResponseParser.parse(
        bytes,
        count: count,
        request: method,
        limits: fuzzLimits,
        fields: fuzzTable,
        into: &head
      )
    }
    let outcome = parse(count)
    let length = Int(head.headLength)
    if outcome == .complete {
      require(length <= min(count, fuzzLimits.maximumBytes), "the head is within its bound")
      requireSound(
        bytes,
        fields: fuzzTable,
        count: Int(head.fieldCount),
        start: Int(head.fieldsStart),
        end: length
      )
      require((100...599).contains(head.status), "the status is in range")
      require(
        Int(head.reasonStart) + Int(head.reasonLength) < Int(head.fieldsStart),
        "the reason lies in the status line"
      )
      require(head.framing != .length || head.contentLength > 0, "a length is known")
      require(head.framing != .untilClose || !head.keepsAlive, "a closed connection ends")
      require(method != .head || head.framing == .none, "HEAD has no body")
    }
    requireMonotonic(count: count, outcome: outcome, length: length, parse: parse)
  }
  return 0
}
