/// A body that never lies in memory as a whole: some bytes, then a filler again and again.
final class RepeatedBody {
  /// Bytes of the filler that lie in memory.
  private static let mostFiller = 32_768

  /// Of the whole body.
  let count: Int
  private let bytes: UnsafeMutablePointer<UInt8>
  private let room: Int
  private let prefix: Int

  /// - Parameters:
  ///   - prefix: What comes first.
  ///   - filler: Bytes of `x` behind it.
  init(prefix: [UInt8] = [], filler: Int) {
    count = prefix.count + filler
    room = prefix.count + min(filler, Self.mostFiller)
    self.prefix = prefix.count
    bytes = .allocate(capacity: max(room, 1))
    bytes.initialize(repeating: UInt8(ascii: "x"), count: max(room, 1))
    bytes.update(from: prefix, count: prefix.count)
  }

  /// A message of gRPC, not compressed.
  ///
  /// Source: gRPC over HTTP2, "Length-Prefixed-Message".
  convenience init(message count: Int) {
    let length = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
    self.init(prefix: [0] + length, filler: count)
  }

  deinit { bytes.deallocate() }

  /// Bytes from an offset, as many as lie in one place; not for the end.
  func piece(at offset: Int) -> UnsafeBufferPointer<UInt8> {
    if offset < room { return UnsafeBufferPointer(start: bytes + offset, count: room - offset) }
    return UnsafeBufferPointer(start: bytes + prefix, count: min(count - offset, room - prefix))
  }
}
