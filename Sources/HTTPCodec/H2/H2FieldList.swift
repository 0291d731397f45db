internal import CNghttp2

/// The field lines of a head or trailer section to be sent.
///
/// It writes into its workspace, so one list is built and submitted before the next is begun. The
/// bytes behind the lines must stay where they are until then; text in the program is never
/// copied, everything else once, by nghttp2, which also puts names in small letters.
public struct H2FieldList: ~Copyable {
  private let table: H2LineTable
  private(set) var count = 0
  /// Whether a line was left out for lack of room; such a list is not to be submitted.
  public private(set) var isOverfull = false

  /// Begins a list.
  public init(_ workspace: H2Workspace) { table = workspace.memory.pointee.lines }

  /// The lines, without a place for `:status`.
  var pairs: UnsafeMutablePointer<nghttp2_nv> { table.pairs + 1 }

  /// Adds a line of which the name is in the program, in small letters.
  public mutating func add(
    _ name: StaticString,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    isSensitive: Bool = false
  ) {
    add(
      name.utf8Start,
      name.utf8CodeUnitCount,
      value,
      length,
      Self.keepsName | (isSensitive ? Self.neverIndexed : 0)
    )
  }

  /// Adds a line that is in the program, with the name in small letters.
  public mutating func add(_ name: StaticString, _ value: StaticString) {
    add(
      name.utf8Start,
      name.utf8CodeUnitCount,
      value.utf8Start,
      value.utf8CodeUnitCount,
      Self.keepsName | Self.keepsValue
    )
  }

  /// Adds a field of a head, whatever it is.
  ///
  /// Credentials are never indexed: they would stay in a table that the requests of other callers
  /// on the same connection can be measured against (RFC 7541 section 7.1).
  ///
  /// Neither is an id that no other request has: it would only push out of the table what others
  /// share.
  public mutating func add(_ field: HeadField, of bytes: UnsafePointer<UInt8>) {
    let isCredential =
      field.known == .authorization || field.known == .proxyAuthorization
      || field.known == .xRequestID
    add(
      bytes + Int(field.nameStart),
      Int(field.nameLength),
      bytes + Int(field.valueStart),
      Int(field.valueLength),
      field.isSensitive || isCredential ? Self.neverIndexed : 0
    )
  }

  /// Adds fields of a head but those that HTTP/2 must not carry, and Host.
  ///
  /// Fields named by Connection are the caller's to leave out, as in HTTP/1.1; with such a head it
  /// adds fields one by one. Source: RFC 9113 section 8.2.2.
  public mutating func add(
    _ fields: UnsafePointer<HeadField>,
    count: Int,
    of bytes: UnsafePointer<UInt8>
  ) {
    for index in 0..<count where Self.mayPass(fields[index], bytes) {
      add(fields[index], of: bytes)
    }
  }

  /// Whether HTTP/2 may carry the field in a head.
  public static func mayPass(_ field: HeadField, _ bytes: UnsafePointer<UInt8>) -> Bool {
    switch field.known {
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .http2Settings,
      .host:
      false
    case .te:
      H2FieldCheck.isTrailers(bytes, Int(field.valueStart), Int(field.valueLength))
    default: true
    }
  }

  /// The lines with `:status` before them.
  func pairs(status: Int) -> UnsafeMutablePointer<nghttp2_nv> {
    table.status[0] = 0x30 &+ UInt8(truncatingIfNeeded: status / 100 % 10)
    table.status[1] = 0x30 &+ UInt8(truncatingIfNeeded: status / 10 % 10)
    table.status[2] = 0x30 &+ UInt8(truncatingIfNeeded: status % 10)
    table.pairs[0] = Self.pair(
      Self.status.utf8Start,
      Self.status.utf8CodeUnitCount,
      table.status,
      3,
      Self.keepsName
    )
    return table.pairs
  }

  private static var status: StaticString { ":status" }
  private static let keepsName = UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue)
  private static let keepsValue = UInt8(NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
  private static let neverIndexed = UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue)

  @inline(__always)
  private mutating func add(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    _ flags: UInt8
  ) {
    guard count < H2LineTable.capacity else {
      isOverfull = true
      return
    }
    table.pairs[count &+ 1] = Self.pair(name, nameLength, value, length, flags)
    count &+= 1
  }

  @inline(__always)
  private static func pair(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    _ flags: UInt8
  ) -> nghttp2_nv {
    nghttp2_nv(
      name: UnsafeMutablePointer(mutating: name),
      value: UnsafeMutablePointer(mutating: value),
      namelen: nameLength,
      valuelen: length,
      flags: flags
    )
  }
}
