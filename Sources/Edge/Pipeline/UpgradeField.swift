internal import HTTPCodec

/// What a client may upgrade to.
enum UpgradeField {
  /// Whether an Upgrade field names HTTP/2 in cleartext.
  ///
  /// Behind a tunnel nobody would look at the requests any more, and RFC 9113 has dropped this
  /// upgrade: the request goes on as HTTP/1.1.
  static func namesHTTP2(_ view: RequestView) -> Bool {
    for index in 0..<Int(view.head.fieldCount) where view.fields[index].known == .upgrade {
      let value = view.bytes + Int(view.fields[index].valueStart)
      let count = Int(view.fields[index].valueLength)
      var at = 0
      while at + 3 <= count {
        if value[at] | 0x20 == UInt8(ascii: "h"), value[at + 1] == UInt8(ascii: "2"),
          value[at + 2] | 0x20 == UInt8(ascii: "c")
        {
          return true
        }
        at += 1
      }
    }
    return false
  }
}
