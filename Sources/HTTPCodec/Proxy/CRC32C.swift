/// The checksum CRC-32C (RFC 3720 appendix B.4), bit by bit.
///
/// Headers have a few dozen bytes, and few of them carry one: a table would cost more in code and
/// cache than it saves.
struct CRC32C {
  /// The polynomial 0x1EDC6F41 with its bits turned around.
  private static let polynomial: UInt32 = 0x82F6_3B78

  private var state: UInt32 = .max

  var value: UInt32 { ~state }

  mutating func add(_ bytes: UnsafePointer<UInt8>, count: Int) {
    for index in 0..<count { add(bytes[index]) }
  }

  mutating func addZeros(_ count: Int) { for _ in 0..<count { add(0) } }

  private mutating func add(_ byte: UInt8) {
    state ^= UInt32(byte)
    for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ Self.polynomial : state >> 1 }
  }
}
