import HTTPCodec

#if FUZZER
import FuzzSupport
#endif

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzTrace(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let trace = TraceParent.traceID(bytes, count)
  let digits = written(Array(UnsafeBufferPointer(start: bytes, count: count)))
  require((trace == .none) == (digits == nil), "a whole value names a trace, and nothing else does")
  guard let digits else { return 0 }
  let text = String(decoding: digits, as: UTF8.self)
  require(UInt64(text.prefix(16), radix: 16) == trace.high, "the id is the one that is written")
  require(UInt64(text.dropFirst(16), radix: 16) == trace.low, "to its last digit")
  require(TraceParent.traceID(bytes, TraceParent.length - 1) == .none, "a shorter value has none")
  return 0
}

/// The digits of the trace by a reading in parts, `nil` where the value breaks a rule.
private func written(_ value: [UInt8]) -> [UInt8]? {
  let parts = value.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
  guard parts.count >= 4, parts.prefix(4).map(\.count) == [2, 32, 16, 2] else { return nil }
  let digits = Array("0123456789abcdef".utf8)
  guard parts.prefix(4).joined().allSatisfy(digits.contains) else { return nil }
  let version = String(decoding: parts[0], as: UTF8.self)
  guard version != "ff", version != "00" || parts.count == 4 else { return nil }
  let isZero = { (part: ArraySlice<UInt8>) in part.allSatisfy { $0 == UInt8(ascii: "0") } }
  return isZero(parts[1]) || isZero(parts[2]) ? nil : Array(parts[1])
}
