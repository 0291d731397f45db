internal import HTTPCodec
internal import LoadKit

/// How a call of gRPC ended (gRPC over HTTP2, "Responses"; codes: grpc/status.h).
enum GRPCStatus {
  static let ok: Int16 = 0

  private static let field: StaticString = "grpc-status"
  private static let names = [
    "ok", "cancelled", "unknown", "invalid-argument", "deadline-exceeded", "not-found",
    "already-exists", "permission-denied", "resource-exhausted", "failed-precondition", "aborted",
    "out-of-range", "unimplemented", "internal", "unavailable", "data-loss", "unauthenticated",
  ]

  /// For a report; a call without a status is one that failed.
  static func name(_ status: Int16) -> String {
    guard status >= 0 else { return "grpc: no-status" }
    return "grpc: " + (Int(status) < names.count ? names[Int(status)] : "code-\(status)")
  }

  /// What counts as refused for lack of capacity: RESOURCE_EXHAUSTED and UNAVAILABLE.
  static func outcome(_ status: Int16) -> Outcome { status == 8 || status == 14 ? .shed : .failed }

  /// The value of the field, or -1 where it is missing or no number.
  static func find(
    _ bytes: UnsafePointer<UInt8>,
    _ fields: UnsafePointer<HeadField>,
    _ count: Int
  ) -> Int16 {
    for place in 0..<count where isStatus(fields[place], bytes) {
      let length = Int(fields[place].valueLength)
      guard (1...4).contains(length) else { return -1 }
      var value: Int16 = 0
      for digit in 0..<length {
        let byte = bytes[Int(fields[place].valueStart) + digit]
        guard (0x30...0x39).contains(byte) else { return -1 }
        value = value * 10 + Int16(byte - 0x30)
      }
      return value
    }
    return -1
  }

  private static func isStatus(_ field: HeadField, _ bytes: UnsafePointer<UInt8>) -> Bool {
    guard Int(field.nameLength) == Self.field.utf8CodeUnitCount else { return false }
    for place in 0..<Int(field.nameLength)
    where bytes[Int(field.nameStart) + place] | 0x20 != Self.field.utf8Start[place] | 0x20 {
      return false
    }
    return true
  }
}
