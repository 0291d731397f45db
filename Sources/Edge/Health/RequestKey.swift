internal import HTTPCodec
internal import Upstream

/// What `balance: ring-hash` tells requests apart by.
enum RequestKey {
  /// The key's hash, or 0 where the request has none: then any endpoint does.
  static func hash(_ view: RequestView, _ policy: UnsafePointer<ServicePolicy>) -> UInt64 {
    var hash = KeyHash()
    switch policy.pointee.key {
    case .none: return 0
    case .address:
      // That of a client behind a trusted peer is the one that this peer saw.
      hash.add(RequestTenant.number(view))
      return hash.value
    case .header:
      for index in 0..<Int(view.head.fieldCount) {
        let field = view.fields[index]
        guard Int(field.nameLength) == policy.pointee.keyLength, field.valueLength > 0,
          isName(view.bytes + Int(field.nameStart), policy)
        else { continue }
        hash.add(view.bytes + Int(field.valueStart), Int(field.valueLength))
        return hash.value
      }
      return 0
    case .cookie:
      for index in 0..<Int(view.head.fieldCount) where view.fields[index].known == .cookie {
        let field = view.fields[index]
        let value = view.bytes + Int(field.valueStart)
        if let (start, count) = cookie(value, Int(field.valueLength), policy) {
          hash.add(value + start, count)
          return hash.value
        }
      }
      return 0
    }
  }

  /// Names of fields have no case (RFC 9110 section 5.1).
  private static func isName(
    _ bytes: UnsafePointer<UInt8>,
    _ policy: UnsafePointer<ServicePolicy>
  ) -> Bool {
    for index in 0..<policy.pointee.keyLength {
      var byte = bytes[index]
      if byte >= 0x41, byte <= 0x5A { byte |= 0x20 }
      if byte != policy.pointee.keyName[index] { return false }
    }
    return true
  }

  /// Where the value of the named cookie lies, of pairs between semicolons (RFC 6265 section 4.2.1);
  /// `nil` where there is none, or an empty one.
  private static func cookie(
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    _ policy: UnsafePointer<ServicePolicy>
  ) -> (start: Int, count: Int)? {
    let length = policy.pointee.keyLength
    var at = 0
    while at < count {
      while at < count, bytes[at] == 0x20 || bytes[at] == 0x09 { at += 1 }
      var end = at
      while end < count, bytes[end] != UInt8(ascii: ";") { end += 1 }
      if end - at > length + 1, bytes[at + length] == UInt8(ascii: "=") {
        var isSame = true
        for index in 0..<length where bytes[at + index] != policy.pointee.keyName[index] {
          isSame = false
        }
        if isSame { return (at + length + 1, end - at - length - 1) }
      }
      at = end + 1
    }
    return nil
  }
}
