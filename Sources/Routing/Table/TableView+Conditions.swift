import HTTPCodec

extension TableView {
  /// Whether the field is there and, all its lines joined with `", "`, has the wanted value.
  func headerHolds(_ condition: UnsafePointer<Condition>, _ request: RouteRequest) -> Bool {
    let wanted = condition.pointee
    var isPresent = false
    var compared = 0
    for index in 0..<request.fieldCount {
      let field = request.fields + index
      guard field.pointee.known == wanted.known else { continue }
      if wanted.known == .other {
        guard Int(field.pointee.nameLength) == Int(wanted.nameLength),
          Bytes.equal(
            request.bytes + Int(field.pointee.nameStart),
            text + Int(wanted.nameStart),
            Int(wanted.nameLength),
            ignoringCase: true
          )
        else { continue }
      }
      if wanted.valueLength < 0 { return true }
      if isPresent {
        let rest = text + Int(wanted.valueStart) + compared
        guard Int(wanted.valueLength) &- compared >= 2, rest[0] == UInt8(ascii: ","),
          rest[1] == UInt8(ascii: " ")
        else { return false }
        compared &+= 2
      }
      let length = Int(field.pointee.valueLength)
      guard length <= Int(wanted.valueLength) &- compared,
        Bytes.equal(
          request.bytes + Int(field.pointee.valueStart),
          text + Int(wanted.valueStart) + compared,
          length
        )
      else { return false }
      compared &+= length
      isPresent = true
    }
    return isPresent && compared == Int(wanted.valueLength)
  }

  /// Whether the first parameter of that name is there and has the wanted value.
  func queryHolds(_ condition: UnsafePointer<Condition>, _ request: RouteRequest) -> Bool {
    let wanted = condition.pointee
    let query = request.bytes + request.queryStart
    let end = request.queryLength
    var index = 0
    while index < end {
      let hasName = matches(
        query,
        &index,
        end,
        text + Int(wanted.nameStart),
        Int(wanted.nameLength),
        endsAtEquals: true
      )
      let hasEquals = index < end && query[index] == UInt8(ascii: "=")
      if hasEquals { index &+= 1 }
      if hasName {
        if wanted.valueLength < 0 { return true }
        return matches(
          query,
          &index,
          end,
          text + Int(wanted.valueStart),
          Int(wanted.valueLength),
          endsAtEquals: false
        )
      }
      while index < end, query[index] != UInt8(ascii: "&") { index &+= 1 }
      index &+= 1
    }
    return false
  }

  /// Compares decoded text up to its delimiter with a pattern and stops on the delimiter.
  @inline(__always)
  private func matches(
    _ query: UnsafePointer<UInt8>,
    _ index: inout Int,
    _ end: Int,
    _ pattern: UnsafePointer<UInt8>,
    _ count: Int,
    endsAtEquals: Bool
  ) -> Bool {
    var compared = 0
    var isEqual = true
    while index < end, query[index] != UInt8(ascii: "&"),
      !(endsAtEquals && query[index] == UInt8(ascii: "="))
    {
      let byte = QueryText.decoded(query, &index, end)
      isEqual = isEqual && compared < count && pattern[compared] == byte
      compared &+= 1
    }
    return isEqual && compared == count
  }
}

/// The spelling of query parameters: `%XX` and `+` as forms send them.
enum QueryText {
  /// Decodes one character and moves past it; a broken escape stands for itself.
  @inline(__always)
  static func decoded(_ text: UnsafePointer<UInt8>, _ index: inout Int, _ end: Int) -> UInt8 {
    let byte = text[index]
    index &+= 1
    if byte == UInt8(ascii: "+") { return UInt8(ascii: " ") }
    guard byte == UInt8(ascii: "%"), index &+ 1 < end, let high = digit(text[index]),
      let low = digit(text[index &+ 1])
    else { return byte }
    index &+= 2
    return high &<< 4 | low
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
  }
}
