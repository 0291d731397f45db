/// A field line as it stood on the wire.
struct Field: Equatable, Sendable {
  let name: String
  let value: String
}

/// The start line and the field lines of a message, read without any leniency.
struct MessageHead: Sendable {
  let startLine: String
  let fields: [Field]
  let bytes: [UInt8]

  /// Reads a head through its empty line.
  init(_ bytes: [UInt8]) throws {
    self.bytes = bytes
    let text = String(decoding: bytes, as: UTF8.self)
    guard text.hasSuffix("\r\n\r\n") else { throw WireFailure("no head: \(text.debugDescription)") }
    let lines = text.unicodeScalars.dropLast(4).split(
      separator: "\n",
      omittingEmptySubsequences: false
    )
    var fields: [Field] = []
    for (index, line) in lines.enumerated() {
      guard index == lines.count - 1 || line.last == "\r" else {
        throw WireFailure("a bare line feed in the head: \(text.debugDescription)")
      }
    }
    let whole = lines.map { String(String.UnicodeScalarView($0.last == "\r" ? $0.dropLast() : $0)) }
    for line in whole.dropFirst() {
      guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
        throw WireFailure("no field line: \(line.debugDescription)")
      }
      let value = line[line.index(after: colon)...]
        .drop { $0 == " " || $0 == "\t" }
      fields.append(Field(name: String(line[..<colon]), value: String(value)))
    }
    startLine = whole[0]
    self.fields = fields
  }

  /// The value of the first field named so, whatever the case.
  subscript(name: String) -> String? { all(name).first }

  /// The values of every field named so, in order.
  func all(_ name: String) -> [String] {
    let wanted = name.lowercased()
    return fields.filter { $0.name.lowercased() == wanted }.map(\.value)
  }

  /// The comma-separated members of every field named so, lower-cased.
  func members(_ name: String) -> [String] {
    all(name).flatMap { $0.split(separator: ",") }
      .map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
  }

  /// How many bytes the body has, by the fields alone.
  var contentLength: Int? { self["content-length"].flatMap { Int($0) } }

  var isChunked: Bool { members("transfer-encoding").last == "chunked" }
}

extension MessageHead: CustomStringConvertible {
  var description: String { startLine }
}
