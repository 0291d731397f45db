internal import CLinux
internal import Glibc
internal import Units

/// The `date` line of local replies (RFC 9110 section 6.6.1), written once a second.
struct DateField: ~Copyable {
  /// Bytes of the line, its end included.
  static let length = 37
  /// Where its value lies.
  static let valueStart = 6
  static let valueLength = 29

  let bytes: UnsafeMutablePointer<UInt8>
  private var validUntil = Instant(.min)
  /// Wall clock minus monotonic clock, in nanoseconds, read again with the date.
  private(set) var wallOffset: Int64 = 0

  init() { bytes = .allocate(capacity: 64) }

  deinit { bytes.deallocate() }

  /// Nanoseconds since 1970 at a time of the monotonic clock.
  mutating func wallClock(at now: Instant) -> Int64 {
    refresh(at: now)
    return now.rawValue &+ wallOffset
  }

  /// Brings the line up to date; cheap when it is.
  mutating func refresh(at now: Instant) {
    guard now >= validUntil else { return }
    let wall = clinux_wall_now()
    wallOffset = wall - now.rawValue
    var seconds = time_t(wall / 1_000_000_000)
    validUntil = now + Nanoseconds(1_000_000_000 - wall % 1_000_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    let days: StaticString = "SunMonTueWedThuFriSat"
    let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    var writer = ByteWriter(bytes, capacity: 64)
    writer.text("date: ")
    writer.bytes(days.utf8Start + Int(parts.tm_wday) * 3, 3)
    writer.text(", ")
    Self.two(&writer, parts.tm_mday)
    writer.text(" ")
    writer.bytes(months.utf8Start + Int(parts.tm_mon) * 3, 3)
    writer.text(" ")
    writer.decimal(UInt64(parts.tm_year + 1_900))
    writer.text(" ")
    Self.two(&writer, parts.tm_hour)
    writer.text(":")
    Self.two(&writer, parts.tm_min)
    writer.text(":")
    Self.two(&writer, parts.tm_sec)
    writer.text(" GMT\r\n")
  }

  private static func two(_ writer: inout ByteWriter, _ value: Int32) {
    writer.byte(UInt8(48 + value / 10))
    writer.byte(UInt8(48 + value % 10))
  }
}
