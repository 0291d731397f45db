import HTTPCodec

#if FUZZER
import FuzzSupport
#endif

/// What a decoder made of a whole input: its data as a running hash, and how it ended.
private struct Verdict: Equatable {
  var length = 0
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  var used = 0
  var last = ChunkedDecoder.Step.needMore

  mutating func feed(_ decoder: inout ChunkedDecoder, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
    guard last == .needMore else { return }
    var offset = 0
    while true {
      let before = offset
      last = decoder.next(bytes, count: count, offset: &offset)
      require(offset >= before && offset <= count, "the offset stays in the input")
      guard case .data(let start, let length) = last else { break }
      require(length > 0 && start >= before && start + length == offset, "data is in the input")
      for index in start..<offset { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01B3 }
      self.length += length
    }
    require(last != .needMore || offset == count, "more is wanted only when all is used")
    used += offset
    if case .refused = last {
      var again = offset
      require(
        decoder.next(bytes, count: count, offset: &again) == last && again == offset,
        "a refusal stays"
      )
    }
  }
}

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzChunked(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  func verdict(pieces size: Int) -> Verdict {
    var decoder = ChunkedDecoder(maximumExtensionBytes: 32)
    var result = Verdict()
    var position = 0
    while position < count {
      let length = min(size, count - position)
      result.feed(&decoder, bytes + position, length)
      position += length
    }
    return result
  }
  let whole = verdict(pieces: max(count, 1))
  require(whole.length <= count, "there is no more data than input")
  // The first byte also picks a cut, so that the fuzzer steers it.
  let steered = count > 0 ? Int(bytes[0]) % 61 + 1 : 1
  for size in [1, 2, 3, 7, steered] {
    require(verdict(pieces: size) == whole, "cuts do not change the verdict")
  }
  return 0
}
