import Routing

#if FUZZER
import FuzzSupport
#endif

/// The bytes that a normal path cannot hold.
private func isForbidden(_ byte: UInt8) -> Bool {
  byte <= 0x20 || byte >= 0x7F || byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "?")
    || byte == UInt8(ascii: "#")
}

/// Normalises into memory of exactly the length that the contract asks for.
private func normalise(_ path: [UInt8], _ policy: PathPolicy) -> [UInt8]? {
  let room = max(path.count, 1)
  var out = [UInt8](repeating: 0, count: room)
  let outcome = (path + [0]).withUnsafeBufferPointer { path in
    out.withUnsafeMutableBufferPointer { out in
      guard let source = path.baseAddress, let target = out.baseAddress else {
        return PathOutcome.refused(.tooLong)
      }
      return PathNormaliser.normalise(
        source,
        count: path.count - 1,
        into: target,
        capacity: room,
        policy: policy
      )
    }
  }
  switch outcome {
  case .unchanged: return path
  case .rewritten(let count):
    require(count >= 1 && count <= room, "the result is never longer than the path")
    return Array(out[..<count])
  case .refused(let fault):
    require(fault != .tooLong, "there was room")
    return nil
  }
}

private func requireNormal(_ path: [UInt8], _ policy: PathPolicy) {
  if path == [UInt8(ascii: "*")] { return }
  require(path.first == UInt8(ascii: "/"), "a path begins with a slash")
  require(!path.contains(where: isForbidden), "what servers read differently is refused")
  let segments = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
  for segment in segments {
    let name = segment.prefix { $0 != UInt8(ascii: ";") }
    let isDots = name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8)
    require(!isDots, "no dot segment is left, with or without parameters")
  }
  if policy.repeatedSlashes != .keep {
    let hasEmpty = segments.dropFirst().dropLast().contains(where: \.isEmpty)
    require(!hasEmpty, "slashes are merged or refused")
  }
  let text = String(decoding: path, as: UTF8.self).lowercased()
  require(!text.contains("%2e") && !text.contains("%00"), "dots are decoded, NUL is refused")
  require(policy.encodedSlash == .keep || !text.contains("%2f"), "encoded slashes are refused")
}

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzPath(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let path = Array(UnsafeBufferPointer(start: bytes, count: count))
  for repeated in PathPolicy.RepeatedSlashes.allCases {
    for encoded in PathPolicy.EncodedSlash.allCases {
      let policy = PathPolicy(repeatedSlashes: repeated, encodedSlash: encoded)
      guard let normal = normalise(path, policy) else { continue }
      requireNormal(normal, policy)
      require(normalise(normal, policy) == normal, "the result is a fixed point")
    }
  }
  return 0
}
