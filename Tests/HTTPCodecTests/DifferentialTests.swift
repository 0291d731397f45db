import HTTPCodec
import Testing
import Units

struct DifferentialTests {
  /// Pieces from which heads are made: mostly right, often hostile.
  private static let methods = ["GET", "POST", "CONNECT", "OPTIONS", "get", "X-Y", "", "G(T"]
  private static let targets = [
    "/", "/a?b", "*", "a:80", "http://a/", "HTTPS://a:443?x=://", "http://b", "/a#b", "", "//x",
    "[::1]:443", "http://[::1]:80/", "http://a:99999/", "http:/a", "a",
  ]
  private static let versions = ["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1", "HTTP/2.0", ""]
  private static let names = [
    "Host", "host", "Content-Length", "Transfer-Encoding", "Connection", "X", "x-forwarded-for",
    "Upgrade", "TE", "Expect", "Content_Length", "", "A B", "accept-language",
  ]
  private static let values = [
    "a", "b", "a:80", "A", "[::1]", "[::1]:443", "[::1", "5", "+5", "05", "5,5", "chunked",
    "Chunked ",
    "gzip, chunked", "close", "keep-alive", "x, close", "Host", "a b", "", "\t", "é", "a:443",
    "9223372036854775808", "100-continue", "trailers", "[1::2:3.4.5.6]", "[1:2:3:4:5:6:7:8:9]",
  ]
  private static let separators = [": ", ":", ":\t ", " :", "", ": \r"]
  private static let ends = ["\r\n", "\n", "\r", "\r\n ", ""]

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `the parser and a slow reading agree on random heads`(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var complete = 0

    for round in 0..<3_000 {
      let bytes = Self.head(&random)
      let fast = ParsedRequest(bytes)
      let slow = NaiveRequest(bytes)
      switch fast.outcome {
      case .refused(let fault):
        #expect(
          slow?.isComplete != true,
          "seed \(seed), round \(round): \(fault) \(String(decoding: bytes, as: UTF8.self))"
        )
      case .incomplete: #expect(slow?.isComplete == false, "seed \(seed), round \(round)")
      case .complete:
        complete += 1
        guard let slow, slow.isComplete else {
          Issue.record("seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self))")
          continue
        }
        #expect(Self.agree(fast, slow), "seed \(seed), round \(round)")
      }
    }

    #expect(complete > 100, "the generator makes too few valid heads to compare")
  }

  private static func agree(_ fast: ParsedRequest, _ slow: NaiveRequest) -> Bool {
    let pairs = slow.fields.map { field in
      (field.name + "=" + field.value).unicodeScalars.map { UInt8($0.value) }
    }
    let found = fast.fields.map { field -> [UInt8] in
      let name = Int(field.nameStart)..<Int(field.nameStart + field.nameLength)
      let value = Int(field.valueStart)..<Int(field.valueStart + field.valueLength)
      return fast.bytes[name] + [0x3D] + fast.bytes[value]
    }
    return Int(fast.head.headLength) == slow.length
      && fast.text(fast.head.methodStart, fast.head.methodLength) == slow.method
      && fast.target == slow.target && found == pairs
      && fast.head.contentLength == slow.contentLength && fast.head.isChunked == slow.isChunked
      && fast.head.keepsAlive == slow.keepsAlive
  }

  /// A head that is usually right, with some pieces wrong and sometimes a byte flipped.
  private static func head(_ random: inout SplitMix64) -> [UInt8] {
    func pick(_ pieces: [String], rightIn chances: Int) -> String {
      let isRight = Int.random(in: 0..<chances, using: &random) > 0
      return isRight ? pieces[0] : pieces[Int.random(in: 0..<pieces.count, using: &random)]
    }
    var text = Int.random(in: 0..<16, using: &random) == 0 ? "\r\n" : ""
    text += pick(methods, rightIn: 3) + " " + pick(targets, rightIn: 2) + " "
    text += pick(versions, rightIn: 4) + pick(ends, rightIn: 40)
    if Int.random(in: 0..<8, using: &random) > 0 {
      text += "Host: " + pick(values, rightIn: 3) + "\r\n"
    }
    for _ in 0..<Int.random(in: 0..<4, using: &random) {
      let name = names[Int.random(in: 1..<names.count, using: &random)]
      let value = values[Int.random(in: 0..<values.count, using: &random)]
      text += name + pick(separators, rightIn: 20) + value + pick(ends, rightIn: 40)
    }
    text += Int.random(in: 0..<12, using: &random) > 0 ? "\r\n" : ""
    var bytes = Array(text.utf8)
    if Int.random(in: 0..<4, using: &random) == 0 {
      bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
        in: 0...255,
        using: &random
      )
    }
    return bytes
  }
}

struct GrammarTests {
  @Test(arguments: KnownField.allCases.filter { $0 != .other })
  func `a known name is found in any case and not beside one`(_ field: KnownField) {
    let name = field.name.description
    let variants = [
      name, name.uppercased(), String(name.prefix(1)).uppercased() + name.dropFirst(),
    ]
    for variant in variants {
      #expect(found(variant) == field, "\(variant)")
    }
    for (index, _) in name.enumerated() {
      var bytes = Array(name.utf8)
      bytes[index] = bytes[index] == 0x7A ? 0x79 : 0x7A
      #expect(found(String(decoding: bytes, as: UTF8.self)) == .other)
    }
    #expect(found(name + "x") == .other)
  }

  /// What a request's last field is recognised as.
  private func found(_ name: String) -> KnownField? {
    let value =
      switch name.lowercased() {
      case "content-length": "1"
      case "transfer-encoding": "chunked"
      default: "a"
      }
    let host = name.lowercased() == "host" ? "" : "Host: a\r\n"
    return ParsedRequest("GET / HTTP/1.1\r\n\(host)\(name):\(value)\r\n\r\n").fields.last?.known
  }

  @Test(arguments: 0...255)
  func `every byte is judged as the grammar says at every place of a word`(_ value: Int) {
    let byte = UInt8(value)
    let letters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
    let isToken = letters.contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    let isText = byte == 0x09 || (0x20...0x7E).contains(byte) || byte >= 0x80
    let isTarget = (0x21...0x7E).contains(byte) && byte != 0x23
    let isHost = letters.contains(byte) || "-._~".utf8.contains(byte)

    for offset in 0..<18 {
      #expect(accepts("M", " / HTTP/1.1\r\nHost: a\r\n\r\n", byte, offset, shift: 12) == isToken)
      #expect(accepts("GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", byte, offset) == isTarget)
      #expect(
        accepts("GET / HTTP/1.1\r\nHost: a\r\nx", "x: y\r\n\r\n", byte, offset) == isToken
          || byte == 0x3A
      )
      #expect(accepts("GET / HTTP/1.1\r\nHost: a\r\nx: ", "\r\n\r\n", byte, offset) == isText)
      #expect(accepts("GET / HTTP/1.1\r\nHost: a", "a\r\n\r\n", byte, offset) == isHost)
    }
  }

  /// Whether a head is complete with `byte` between `offset` letters behind `start` and some more.
  private func accepts(
    _ start: String,
    _ end: String,
    _ byte: UInt8,
    _ offset: Int,
    shift: Int = 20
  ) -> Bool {
    let before = Array(repeating: UInt8(ascii: "a"), count: offset)
    let after = Array(repeating: UInt8(ascii: "a"), count: max(0, shift - offset))
    return ParsedRequest(Array(start.utf8) + before + [byte] + after + Array(end.utf8)).outcome
      == .complete
  }
}
