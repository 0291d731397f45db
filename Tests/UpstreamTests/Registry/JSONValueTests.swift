import Testing

@testable import Upstream

/// JSON of strangers: read to the letter, within bounds.
@Suite struct JSONValueTests {
  private static func read(_ text: String) -> JSONValue? { try? JSONValue(Array(text.utf8)) }

  @Test func `values read as written`() throws {
    let value = try #require(
      Self.read(
        #" {"a": [1, -20, 1.5, 1e3, true, false, null], "b": "x\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é", "c": {}, "b": 2}"#
      )
    )

    #expect(
      value["a"]?.items
        == [
          .number(1), .number(-20), .number(nil), .number(nil), .bool(true), .bool(false), .null,
        ]
    )
    #expect(value["b"]?.number == 2)
    #expect(value["c"] == .object([]))
    #expect(value["d"] == nil)
    #expect(
      Self.read(#""x\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#)?.text == "x\"\\/\u{8}\u{C}\n\r\té😀é"
    )
    #expect(Self.read("99999999999999999999") == .number(nil))
    #expect(Self.read(#""9223372036854775807""#)?.wideNumber == .max)
    #expect(Self.read("7")?.wideNumber == 7)
  }

  @Test(arguments: [
    "", " ", "{", "[", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "01", "1.", ".5",
    "-", "1e", "+1", "tru", "nul", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
    "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "1 2", "[1 2]", "\u{FEFF}1", "NaN", "'a'",
    "[1]]", "\0",
  ])
  func `what is no JSON is nothing`(_ text: String) {
    #expect(Self.read(text) == nil)
  }

  @Test(arguments: [
    [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
    [0x22, 0xC0, 0x80, 0x22],
    [0x80], [0x22, 0x61],
  ])
  func `what is no UTF-8 is no text`(_ bytes: [UInt8]) {
    #expect(throws: JSONFault.self) { try JSONValue(bytes) }
  }

  @Test func `depth and number of values are bounded`() {
    func nested(_ depth: Int) -> [UInt8] {
      Array(String(repeating: "[", count: depth).utf8)
        + Array(String(repeating: "]", count: depth).utf8)
    }
    #expect((try? JSONValue(nested(JSONValue.maximumDepth + 1))) != nil)
    #expect(throws: JSONFault.tooDeep) { try JSONValue(nested(JSONValue.maximumDepth + 2)) }
    #expect(throws: JSONFault.tooDeep) { try JSONValue(nested(1_000_000)) }
    let objects = String(repeating: "{\"a\":", count: 1_000_000)
    #expect(throws: JSONFault.tooDeep) { try JSONValue(Array(objects.utf8)) }
    let many = "[" + String(repeating: "0,", count: JSONValue.maximumValues - 2) + "0]"
    #expect(Self.read(many) != nil)
    #expect(throws: JSONFault.tooMany) { try JSONValue(Array("[0,\(many.dropFirst())".utf8)) }
  }

  @Test func `Base64 reads back as written, and nothing else is read`() {
    for count in 0..<40 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 89 &+ 3) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    #expect(Base64.encode(Array("/services/".utf8)) == "L3NlcnZpY2VzLw==")
    for text in ["a", "ab", "abc", "a===", "=abc", "ab=c", "ab c", "é==="] {
      #expect(Base64.decode(text) == nil, "\(text)")
    }
  }

  @Test func `lines are taken whole, and one without an end is bounded`() {
    var lines = LineBuffer()
    #expect(lines.take(Array("ab".utf8)) == [])
    #expect(lines.take(Array("c\n\nd\ne".utf8))?.map(Array.init) == [Array("abc".utf8), [0x64]])
    #expect(lines.take([0x0A])?.map(Array.init) == [[0x65]])
    #expect(lines.take([UInt8](repeating: 0x61, count: LineBuffer.maximumBytes)) == [])
    #expect(lines.take([0x61]) == nil)
  }
}
