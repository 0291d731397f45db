import FuzzSupport
import TLS

/// The first bytes of a client that should speak TLS, in pieces of several sizes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHello(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let expected = readyAt(bytes, count)
  for piece in [1, 2, 7, max(1, count)] {
    var scan = HelloScan()
    var at = 0
    while at < count {
      let length = min(piece, count - at)
      let isReady = scan.isReady(after: bytes + at, count: length)
      at += length
      guard let expected else {
        require(!isReady, "what is missing is waited for")
        continue
      }
      require(isReady == (at >= expected), "a hello is ready with its last byte")
      if isReady { break }
    }
  }
  return 0
}

/// Bytes that it takes, by a reading of the whole: records of handshake type, in them one message of
/// type ClientHello with at most 16 KiB; `nil` when more must come.
private func readyAt(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int? {
  var at = 0
  var header: [UInt8] = []
  var missing = 0
  while true {
    guard at < count else { return nil }
    let isLetter = bytes[at] >= 0x41 && bytes[at] <= 0x5A
    guard bytes[at] == 22 || isLetter else { return at + 1 }
    guard at + 1 < count else { return nil }
    guard bytes[at] == 22, bytes[at + 1] == 3 else { return at + 2 }
    guard at + 4 < count else { return nil }
    var left = Int(bytes[at + 3]) << 8 | Int(bytes[at + 4])
    at += 5
    while left > 0 {
      guard at < count else { return nil }
      left -= 1
      at += 1
      guard header.count == 4 else {
        header.append(bytes[at - 1])
        guard header.count == 4 else { continue }
        missing = Int(header[1]) << 16 | Int(header[2]) << 8 | Int(header[3])
        if header[0] != 1 || missing > 16_384 || missing == 0 { return at }
        continue
      }
      missing -= 1
      if missing == 0 { return at }
    }
  }
}
