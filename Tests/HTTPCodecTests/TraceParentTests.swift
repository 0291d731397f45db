import HTTPCodec
import Testing

/// `traceparent` as W3C Trace Context section 3.2 has it, and as an attacker would.
struct TraceParentTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
  private static let parent = "00f067aa0ba902b7"
  private static let known = TraceID(high: 0x4BF9_2F35_77B3_4DA6, low: 0xA3CE_929D_0E0E_4736)

  /// Reads a value that ends where its memory does.
  private static func read(_ text: String) -> TraceID {
    let bytes = Array(text.utf8)
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, bytes.count))
    defer { memory.deallocate() }
    memory.initialize(from: bytes, count: bytes.count)
    return TraceParent.traceID(memory, bytes.count)
  }

  @Test(arguments: [
    "00-\(trace)-\(parent)-01", "00-\(trace)-\(parent)-00", "00-\(trace)-\(parent)-ff",
    // Later versions: as in version 00 so far as that goes (section 4.3).
    "01-\(trace)-\(parent)-01", "cc-\(trace)-\(parent)-01", "cc-\(trace)-\(parent)-01-",
    "fe-\(trace)-\(parent)-01-what-the-future-will-be-like",
  ])
  func `a value that keeps the rules names its trace`(value: String) {
    #expect(Self.read(value) == Self.known)
  }

  @Test(arguments: [
    "", "-", "00", "00-", "00-\(trace)", "00-\(trace)-\(parent)", "00-\(trace)-\(parent)-",
    "00-\(trace)-\(parent)-0", "00-\(trace)-\(parent)-01-", "00-\(trace)-\(parent)-01-more",
    "00-\(trace)-\(parent)-011", "00-\(trace)-\(parent)-01 ", " 00-\(trace)-\(parent)-01",
    // The version that there will never be, and what is none.
    "ff-\(trace)-\(parent)-01", "ff-\(trace)-\(parent)-01-more", "0-\(trace)-\(parent)-01",
    "000-\(trace)-\(parent)-01", "0g-\(trace)-\(parent)-01", "FE-\(trace)-\(parent)-01",
    "cc-\(trace)-\(parent)-01.more", "cc-\(trace)-\(parent)-01more",
    // All zero stands for nothing.
    "00-00000000000000000000000000000000-\(parent)-01", "00-\(trace)-0000000000000000-01",
    // Capitals and what is no digit.
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-\(parent)-01", "00-\(trace)-00F067AA0BA902B7-01",
    "00-\(trace)-\(parent)-0X", "00-\(trace)-\(parent)-0G", "00-.\(trace.dropFirst())-\(parent)-01",
    "00-\(trace.dropLast())g-\(parent)-01", "00-\(trace)-\(parent.dropLast())`-01",
    "00-\(trace.dropLast())/-\(parent)-01", "00-\(trace.dropLast()):-\(parent)-01",
    "00-\(trace.dropLast())\0-\(parent)-01", "00-\(trace.dropLast(2))\u{e9}-\(parent)-01",
    // Other lengths and other dashes.
    "00-\(trace)0-\(parent.dropLast())-01", "00-\(trace.dropLast())-\(parent)0-01",
    "00_\(trace)-\(parent)-01", "00-\(trace)_\(parent)-01", "00-\(trace)-\(parent)_01",
    "00-\(trace)-\(parent)-01,00-\(trace)-\(parent)-01",
    "-------------------------------------------------------",
    "0000000000000000000000000000000000000000000000000000000",
  ])
  func `a value that breaks a rule names none`(value: String) {
    #expect(Self.read(value) == .none)
  }

  @Test func `no value is taken with a byte of it changed for a stranger`() {
    let value = Array("00-\(Self.trace)-\(Self.parent)-01".utf8)
    for at in value.indices {
      for byte in [UInt8(0), 9, 32, 44, 47, 58, 64, 65, 70, 71, 96, 103, 127, 255] {
        var other = value
        other[at] = byte
        let found = other.withUnsafeBufferPointer { bytes in
          bytes.baseAddress.map { TraceParent.traceID($0, bytes.count) }
        }
        #expect(found == TraceID.none, "byte \(byte) at \(at)")
      }
    }
  }

  @Test func `half of an id that is zero is an id`() {
    let value = "00-0000000000000000a3ce929d0e0e4736-\(Self.parent)-01"
    #expect(Self.read(value) == TraceID(high: 0, low: 0xA3CE_929D_0E0E_4736))
  }
}
