internal import HTTPCodec
internal import Reactor

/// Who the request came from, for the service: `via`, `x-forwarded-*` and `forwarded`.
///
/// A trusted peer's fields are continued; anybody else's are replaced, since a service that
/// believes them would believe the attacker.
enum ForwardingFields {
  static func write(_ view: RequestView, into writer: inout ByteWriter) {
    if view.isHTTP2 {
      writer.text("via: 2.0 spillway\r\n")
    } else {
      writer.text(view.head.minorVersion == 0 ? "via: 1.0 spillway\r\n" : "via: 1.1 spillway\r\n")
    }
    writer.text("x-forwarded-for: ")
    if view.isTrusted { values(view, .xForwardedFor, &writer) }
    let start = writer.count
    if view.peerIsUnix { writer.text("unknown") } else { AddressText.write(view.peer, &writer) }
    let address = start..<writer.count
    writer.text("\r\nx-forwarded-proto: ")
    let proto = given(view, .xForwardedProto)
    if proto >= 0 { value(view, proto, &writer) } else { scheme(view, &writer) }
    let host = given(view, .xForwardedHost)
    // HTTP/1.0 may name no host, and an empty field would say that it is known to be none.
    if host >= 0 || view.head.authorityLength > 0 {
      writer.text("\r\nx-forwarded-host: ")
      if host >= 0 { value(view, host, &writer) } else { authority(view, &writer) }
    }
    writer.text("\r\nforwarded: ")
    if view.isTrusted { values(view, .forwarded, &writer) }
    writer.text("for=")
    node(view, address, &writer)
    if view.head.authorityLength > 0 {
      writer.text(";host=\"")
      authority(view, &writer)
      writer.text("\"")
    }
    writer.text(";proto=")
    scheme(view, &writer)
    writer.text("\r\n")
  }

  private static func scheme(_ view: RequestView, _ writer: inout ByteWriter) {
    if view.isSecure { writer.text("https") } else { writer.text("http") }
  }

  /// A trusted peer's field of this kind, unless it is empty, or -1.
  private static func given(_ view: RequestView, _ kind: KnownField) -> Int {
    let index = view.isTrusted ? view.first(kind) : -1
    return index >= 0 && view.fields[index].valueLength > 0 ? index : -1
  }

  private static func authority(_ view: RequestView, _ writer: inout ByteWriter) {
    writer.bytes(
      view.bytes + Int(view.head.authorityStart),
      Int(view.head.authorityLength)
    )
  }

  private static func value(_ view: RequestView, _ index: Int, _ writer: inout ByteWriter) {
    writer.bytes(
      view.bytes + Int(view.fields[index].valueStart),
      Int(view.fields[index].valueLength)
    )
  }

  /// All values of a list field, each with a comma behind it.
  private static func values(
    _ view: RequestView,
    _ kind: KnownField,
    _ writer: inout ByteWriter
  ) {
    for index in 0..<Int(view.head.fieldCount)
    where view.fields[index].known == kind && view.fields[index].valueLength > 0 {
      value(view, index, &writer)
      writer.text(", ")
    }
  }

  /// A node as RFC 7239 section 6 writes it: IPv6 in brackets and quotes.
  ///
  /// `address`: Where the peer's address stands in what was written already.
  private static func node(_ view: RequestView, _ address: Range<Int>, _ writer: inout ByteWriter) {
    guard !view.peerIsUnix, !view.peer.isIPv4 else { return writer.again(address) }
    writer.text("\"[")
    writer.again(address)
    writer.text("]\"")
  }
}

/// IP addresses in text, without the allocations of the library's way.
enum AddressText {
  static func write(_ address: IPBytes, _ writer: inout ByteWriter) {
    if address.isIPv4 {
      var shift: UInt64 = 24
      while shift > 0 {
        let number = UInt8(truncatingIfNeeded: address.low >> shift)
        writer.octet(number, then: UInt8(ascii: "."))
        shift -= 8
      }
      return writer.decimal(address.low & 0xFF)
    }
    // RFC 5952: the longest run of two or more zero groups is left out, the first of equal ones.
    var best = (start: 8, length: 1)
    var run = 0
    for group in 0..<8 {
      run = Self.group(address, group) == 0 ? run + 1 : 0
      if run > best.length { best = (group - run + 1, run) }
    }
    var index = 0
    while index < 8 {
      if index == best.start {
        writer.text("::")
        index += best.length
        continue
      }
      if index > 0, index != best.start + best.length { writer.byte(UInt8(ascii: ":")) }
      writer.hexadecimal(Self.group(address, index))
      index += 1
    }
  }

  private static func group(_ address: IPBytes, _ index: Int) -> UInt64 {
    let word = index < 4 ? address.high : address.low
    return word >> UInt64(48 - (index & 3) * 16) & 0xFFFF
  }
}
