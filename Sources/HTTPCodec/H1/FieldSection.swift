/// The field lines of a head or a trailer section, and what they say about framing.
///
/// RFC 9112 section 5. Lines are judged in order and each as soon as it is whole, so the verdict
/// does not depend on how the bytes were cut.
struct FieldSection {
  enum Outcome {
    case incomplete
    /// The offset behind the empty line.
    case complete(Int)
    case refused(ParseFault)
  }

  /// Options that a Connection field may list; more are an attack on whoever compares them.
  private static let maximumConnectionOptions = 32

  var count = 0
  var contentLength: Int64 = -1
  var hostField = -1
  var hasTransferEncoding = false
  var hasUpgrade = false
  var expectsContinue = false
  var acceptsTrailers = false
  var closes = false
  var keepsAlive = false
  var namesUpgrade = false
  var namesOthers = false
  private var connectionOptions = 0

  /// Reads field lines from `offset` to the empty line.
  mutating func parse(
    _ bytes: UnsafePointer<UInt8>, count length: Int, from offset: Int, limits: HeadLimits,
    fields: UnsafeMutablePointer<HeadField>
  ) -> Outcome {
    let bound = min(length, limits.maximumBytes)
    var at = offset
    while at < bound {
      let first = bytes[at]
      if first == 0x0D {
        guard at &+ 1 < bound else { break }
        return bytes[at &+ 1] == 0x0A ? .complete(at &+ 2) : .refused(.bareCarriageReturn)
      }
      guard count < limits.maximumFields || !ByteClass.isToken(first) else {
        return .refused(.tooManyFields)
      }
      var end = at
      while end < bound, ByteClass.isToken(bytes[end]) { end &+= 1 }
      guard end < bound else { break }
      guard bytes[end] == 0x3A, end > at else { return .refused(nameFault(bytes[end], end > at)) }
      var value = end &+ 1
      while value < bound, ByteClass.isBlank(bytes[value]) { value &+= 1 }
      var stop = Scan.controlByte(bytes, from: value, count: bound)
      while stop < bound, bytes[stop] == 0x09 {
        stop = Scan.controlByte(bytes, from: stop &+ 1, count: bound)
      }
      guard stop < bound else { break }
      guard bytes[stop] == 0x0D else {
        return .refused(bytes[stop] == 0x0A ? .bareLineFeed : .malformedFieldValue)
      }
      guard stop &+ 1 < bound else { break }
      guard bytes[stop &+ 1] == 0x0A else { return .refused(.bareCarriageReturn) }
      var last = stop
      while last > value, ByteClass.isBlank(bytes[last &- 1]) { last &-= 1 }
      let known = KnownField.recognise(bytes + at, end &- at)
      fields[count] = HeadField(
        nameStart: UInt16(truncatingIfNeeded: at), nameLength: UInt16(truncatingIfNeeded: end &- at),
        valueStart: UInt16(truncatingIfNeeded: value),
        valueLength: UInt16(truncatingIfNeeded: last &- value), known: known)
      if let fault = note(known, bytes + value, last &- value) { return .refused(fault) }
      count &+= 1
      at = stop &+ 2
    }
    return length >= limits.maximumBytes ? .refused(.headTooLarge) : .incomplete
  }

  private func nameFault(_ byte: UInt8, _ hasName: Bool) -> ParseFault {
    switch byte {
    case 0x0A: .bareLineFeed
    case 0x20, 0x09: hasName ? .spaceBeforeColon : .obsoleteFolding
    default: .malformedFieldName
    }
  }

  @inline(__always)
  private mutating func note(
    _ known: KnownField, _ value: UnsafePointer<UInt8>, _ length: Int
  ) -> ParseFault? {
    switch known {
    case .host:
      guard hostField < 0 else { return .repeatedHost }
      hostField = count
    case .contentLength:
      guard contentLength < 0 else { return .repeatedContentLength }
      guard let number = Self.number(value, length) else { return .malformedContentLength }
      contentLength = number
    case .transferEncoding:
      guard !hasTransferEncoding else { return .repeatedTransferEncoding }
      hasTransferEncoding = true
      return TransferCoding.fault(value, length)
    case .connection: return noteConnection(value, length)
    case .upgrade: hasUpgrade = true
    case .expect: expectsContinue = Scan.equals(value, length, "100-continue")
    case .te: noteTE(value, length)
    default: break
    }
    return nil
  }

  /// Digits alone, no sign, no list, and nothing past what 63 bits hold.
  private static func number(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
    // 18 digits always fit; nobody sends an exabyte.
    guard count >= 1, count <= 18 else { return nil }
    var value: Int64 = 0
    for index in 0..<count {
      guard ByteClass.isDigit(bytes[index]) else { return nil }
      value = value &* 10 &+ Int64(bytes[index] &- 0x30)
    }
    return value
  }

  private mutating func noteConnection(
    _ value: UnsafePointer<UInt8>, _ length: Int
  ) -> ParseFault? {
    var list = TokenList(value, length)
    while let token = list.next() {
      connectionOptions &+= 1
      guard connectionOptions <= Self.maximumConnectionOptions else {
        return .tooManyConnectionOptions
      }
      let start = value + token.start
      if Scan.equals(start, token.count, "close") {
        closes = true
      } else if Scan.equals(start, token.count, "keep-alive") {
        keepsAlive = true
      } else if Scan.equals(start, token.count, "upgrade") {
        namesUpgrade = true
      } else if !Scan.equals(start, token.count, "te") {
        namesOthers = true
      }
    }
    return list.isMalformed ? .malformedConnection : nil
  }

  private mutating func noteTE(_ value: UnsafePointer<UInt8>, _ length: Int) {
    var list = TokenList(value, length)
    while let token = list.next() {
      if Scan.equals(value + token.start, token.count, "trailers") { acceptsTrailers = true }
    }
  }
}

/// A comma-separated list of tokens (RFC 9110 section 5.6.1); empty elements are skipped.
struct TokenList {
  private let bytes: UnsafePointer<UInt8>
  private let count: Int
  private var at = 0
  /// Something between commas is no token.
  private(set) var isMalformed = false

  init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
    self.bytes = bytes
    self.count = count
  }

  mutating func next() -> (start: Int, count: Int)? {
    while at < count, ByteClass.isBlank(bytes[at]) || bytes[at] == 0x2C { at &+= 1 }
    guard at < count else { return nil }
    let start = at
    while at < count, ByteClass.isToken(bytes[at]) { at &+= 1 }
    let end = at
    while at < count, ByteClass.isBlank(bytes[at]) { at &+= 1 }
    guard end > start, at == count || bytes[at] == 0x2C else {
      isMalformed = true
      at = count
      return nil
    }
    return (start, end &- start)
  }
}

/// The one transfer coding that is understood, and what is wrong with any other.
enum TransferCoding {
  /// `nil` for exactly `chunked` (RFC 9112 section 6.1).
  static func fault(_ value: UnsafePointer<UInt8>, _ length: Int) -> ParseFault? {
    if Scan.equals(value, length, "chunked") { return nil }
    var list = TokenList(value, length)
    var tokens = 0
    var chunked = 0
    var isFirst = true
    var commas = 0
    for index in 0..<length where value[index] == 0x2C { commas &+= 1 }
    while let token = list.next() {
      tokens &+= 1
      if Scan.equals(value + token.start, token.count, "chunked") {
        chunked &+= 1
        // A coding behind chunked would make the end of the body anybody's guess.
        isFirst = tokens == 1
      }
    }
    guard !list.isMalformed, tokens > 0, commas == tokens &- 1 else {
      return .malformedTransferEncoding
    }
    if chunked > 1 || (chunked == 1 && isFirst) { return .malformedTransferEncoding }
    return .unknownTransferEncoding
  }
}
