import HTTPCodec

#if FUZZER
import FuzzSupport
#endif

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzProxy(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var prelude = ProxyPrelude()
  func parse(_ count: Int) -> ProxyOutcome {
    ProxyParser.parse(bytes, count: count, maximumBytes: 512, into: &prelude)
  }
  let outcome = parse(count)
  let whole = prelude
  for cut in stride(from: count - 1, through: 0, by: count > 128 ? -7 : -1) {
    let shorter = parse(cut)
    switch outcome {
    case .incomplete: require(shorter == .incomplete, "a prefix of a prefix is incomplete")
    case .complete(let length):
      require(length > 0 && length <= min(count, 512), "the length is within the input")
      require(shorter == (cut < length ? .incomplete : outcome), "complete at one length only")
    case .absent, .refused:
      require(shorter == .incomplete || shorter == outcome, "a refusal never changes")
    }
  }
  if case .complete = outcome, whole.kind == .address { requireWritable(whole) }
  return 0
}

/// What was read is read again from what the writers make of it.
private func requireWritable(_ prelude: ProxyPrelude) {
  withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ProxyWriter.maximumBytes) { room in
    guard let start = room.baseAddress else { return }
    for form in 0..<3 {
      let count =
        form == 0
        ? ProxyWriter.version1(
          source: prelude.source,
          destination: prelude.destination,
          into: start
        )
        : ProxyWriter.version2(
          source: prelude.source,
          destination: prelude.destination,
          hasChecksum: form == 2,
          into: start
        )
      var again = ProxyPrelude()
      let outcome = ProxyParser.parse(start, count: count, into: &again)
      require(outcome == .complete(count), "what is written is complete")
      require(
        again.kind == .address && again.source == prelude.source
          && again.destination == prelude.destination,
        "what is written says the same"
      )
    }
  }
}
